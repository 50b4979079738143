//! A cache whose misses and refreshes are flights: no read returns what was invalidated.

mod builder;
#[expect(clippy::module_inception, reason = "the file of the type `Cache`, as all others are files of theirs")]
mod cache;
mod clock;
mod config;
mod counters;
mod entry;
mod error;
mod fill;
mod handle;
mod jitter;
mod load;
mod read;
mod served;
mod state;
mod stats;
mod store;
mod tags;
mod trace;
mod write;

pub use self::{
    builder::CacheBuilder,
    cache::Cache,
    error::CacheBuildError,
    fill::{Fill, Previous},
    handle::CacheHandle,
    load::LoadResult,
    served::{Lookup, Served, StaleReason},
    stats::CacheStats,
};
