//! One test at least per transition of the table at the head of `shard/mod.rs`.

mod bench;
mod caps;
mod departures;
mod ends;
mod expiry;
mod flights;
mod own_deadlines;
mod piles;
#[cfg(feature = "dashboard")]
mod profile;
mod renewals;
mod snapshots;
mod succession;
