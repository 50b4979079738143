//! One test per transition of the table at the head of `shard/mod.rs`.

mod bench;
mod controls;
mod departures;
mod flights;
