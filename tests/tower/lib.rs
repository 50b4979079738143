//! Compiles the example of outgoing requests in the documentation of `shardflight::tower`: unlike the main crate, this one
//! depends on an HTTP client.
//!
#![doc = include_str!("../../src/tower/outgoing.md")]
