//! Compiles what the main crate's documentation shows of HTTP: unlike the main crate, this one depends on servers and clients.

#[doc = include_str!("../../src/tower/outgoing.md")]
pub mod outgoing {}

#[doc = include_str!("../../docs/guide/getting-started.md")]
pub mod getting_started {}
