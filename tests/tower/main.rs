//! What a user of `shardflight::tower` may rely on, one behaviour per test.
//!
//! Where the protocol may matter, over real sockets and both HTTP/1.1 and HTTP/2. Nothing here sleeps to let something
//! happen: gates hold handlers back, and conditions are awaited under a time limit.

mod bodies;
mod clients;
mod crossings;
mod disconnects;
mod failures;
mod readiness;
mod requests;
mod responses;
mod routers;
mod support;
