//! The example of outgoing requests in the documentation of `shardflight::tower`. It is compiled here, where there is a
//! client: shardflight's own tests have none.
//!
#![doc = include_str!("../../src/tower/outgoing.md")]
