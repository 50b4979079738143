//! Behaviour tests of `shardflight::tower`, one behaviour per test.
//!
//! Where the protocol may matter, tests use real sockets, over both HTTP/1.1 and HTTP/2. No test sleeps to wait for something:
//! gates hold handlers back, and conditions are awaited under a time limit.

mod after_a_write;
mod apart;
mod bodies;
mod checks;
mod clients;
mod credentials;
mod disconnects;
mod failures;
mod headers;
mod isolation;
mod own_keys;
mod placement;
mod readiness;
mod requests;
mod responses;
mod routers;
mod streams;
mod support;
mod unshareable;
mod vary;
