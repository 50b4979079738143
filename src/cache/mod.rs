//! A cache whose misses and refreshes are flights: concurrent misses of a key load once, and no read returns what was invalidated
//! before it.
//!
//! ```
//! use shardflight::cache::Cache;
//! use std::time::Duration;
//!
//! # #[derive(Clone, Debug, PartialEq)] struct DbError;
//! # impl std::fmt::Display for DbError { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("down") } }
//! # impl std::error::Error for DbError {}
//! # async fn load(id: u64) -> Result<String, DbError> { Ok(format!("user {id}")) }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cache: Cache<u64, String, DbError> = Cache::builder().ttl(Duration::from_secs(60)).max_entries(10_000).build()?;
//! let users = cache.handle(); // clone it into every task that asks
//!
//! let user = users.get(7_u64, || load(7)).await?; // loads
//! let same = users.get(7_u64, || load(7)).await?; // a hit
//! assert_eq!(user, same);
//!
//! // … write to the database, and then:
//! users.invalidate(7_u64).await;
//! let newest = users.get(7_u64, || load(7)).await?; // loads
//! # let _ = newest;
//! # Ok(()) }
//! ```
//!
//! # What is guaranteed
//!
//! **C1.** Once [`invalidate`](CacheHandle::invalidate), [`invalidate_tag`](CacheHandle::invalidate_tag) or
//! [`invalidate_all`](CacheHandle::invalidate_all) has returned, a read that begins returns nothing that was loaded before the call:
//! whatever was in flight, refreshing, expired or evicted meanwhile. The same holds after an [`insert`](CacheHandle::insert) for what is
//! older than it. So a service that writes first and invalidates then never reads its own old data from this cache.
//!
//! Reads that began before an invalidation returned may get what they waited for. Other processes' caches know nothing of it. And a
//! loader that reads from a replica, or from another cache, brings what that has.
//!
//! All that the [crate guarantees](crate#guarantees) of joins holds for misses: a reader may leave at any moment, and every reader is
//! answered.
//!
//! # What is kept, and for how long
//!
//! A loaded value is fresh for the [`ttl`](CacheBuilder::ttl), which counts from the end of its load. Time is Tokio's, so tests can pause
//! it; boundaries are exact. A loader may say more in a [`Fill`]: a time to live of its own, tags, a weight, an error to keep
//! ([`negative`](Fill::negative)), that the value is not to be kept ([`uncached`](Fill::uncached)), or that what the cache had is still
//! right ([`not_modified`](Fill::not_modified)).
//!
//! Errors are shared by the readers of their load and not kept, unless [`negative_if`](CacheBuilder::negative_if) accepts them.
//!
//! When the cache is full, entries that are used little are evicted (S3-FIFO). Each shard of the cache has a part for entries in
//! use, and one for new entries. A key that was evicted lately is loaded straight into the former, which can then fill the shard. Only
//! then is a new key kept at its second load, if that comes soon, and not at its first. (For heavy entries, see
//! [`max_weight`](CacheBuilder::max_weight).) Expired entries take room until they are replaced or evicted: there is no sweeper.
//!
//! # Expired values
//!
//! | option | an expired value is served |
//! | --- | --- |
//! | [`stale_while_revalidate`](CacheBuilder::stale_while_revalidate) | at once, while a load runs in the background |
//! | [`stale_if_error`](CacheBuilder::stale_if_error) | if the load fails, and then without a load for the [`error_backoff`](CacheBuilder::error_backoff) |
//! | [`soft_timeout`](CacheBuilder::soft_timeout) | if the load takes longer, and then at once until it ends |
//!
//! All are off by default, and all windows count from the expiry. [`refresh_ahead`](CacheBuilder::refresh_ahead) loads in the
//! background before the expiry, and [`refresh_ahead_xfetch`](CacheBuilder::refresh_ahead_xfetch) at a moment that differs from process
//! to process. Of a key that is [coalesced](crate::Builder::rollout) there is one load at a time, in the background or not, and misses
//! join it. A background load goes on when all readers have left, under every [`OnAbandon`](crate::OnAbandon).
//! [`lookup`](CacheHandle::lookup) tells a reader what it got.
//!
//! ```
//! use shardflight::cache::{Cache, Lookup, StaleReason};
//! use std::time::Duration;
//!
//! # #[derive(Clone, Debug, PartialEq)] struct DbError;
//! # impl std::fmt::Display for DbError { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("down") } }
//! # impl std::error::Error for DbError {}
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cache: Cache<String, u64, DbError> = Cache::builder()
//!     .ttl(Duration::from_secs(60))
//!     .stale_if_error(Duration::from_secs(3600))
//!     .build()?;
//! let rates = cache.handle();
//! rates.insert("EUR", 108_u64).await;
//!
//! tokio::time::advance(Duration::from_secs(90)).await;
//! let served = rates.lookup("EUR", || async { Err(DbError) }).await?;
//! assert_eq!(served.value, Ok(108));
//! assert_eq!(served.state, Lookup::Stale { age: Duration::from_secs(90), why: StaleReason::LoadFailed });
//! # Ok(()) }
//! ```
//!
//! # What a call costs
//!
//! A hit hashes the key, takes a read lock on a shard of the store, reads the clock once, counts, and clones the value; it allocates
//! nothing, and touches no shard of the coalescer. A `&str` for a `String` is converted on every call, but by
//! [`get_by_ref`](CacheHandle::get_by_ref). A miss is a [`join`](crate::Handle::join) with four allocations more, or five from the
//! first invalidation by tag on. An invalidation is a removal and a [`forget`](crate::Handle::forget). An invalidation by tag is two
//! atomic operations; the first one allocates a table of 128 KiB, which the cache keeps. From then
//! on, a hit of an entry with tags looks each of them up in the table.
//!
//! # User code
//!
//! | code | where it runs |
//! | --- | --- |
//! | the loader, the weigher, `negative_if` | in its reader's task or in one of its own, as [`RunWork`](crate::RunWork) says, outside of any lock |
//! | the key's `Hash`, the value's and the error's `Clone` | in the caller, outside of any lock |
//! | the key's `Eq` and `Clone` | in the caller or the load, under the lock of a shard of the store |
//! | `Drop` of keys and values | where the last reference goes: in the caller or load that removes, replaces or evicts, after the lock. Under the lock only for a key whose load is under way, for what is filled while `invalidate_all` runs, and for the key that a cache with room for one entry evicts |
//!
//! A panic in any of them reaches at most the callers of that key, and leaves the cache as it was. An `Eq` or a `Clone` of a key that
//! blocks holds up the other keys of its store shard.
//!
//! # Observing
//!
//! [`stats`](CacheHandle::stats) counts. With the feature `metrics`, `CacheBuilder::metrics` exports all of it under a name, with a
//! histogram of what loads take, beside the metrics of the flights.
//!
//! Besides the [crate's events](crate#observing), tracing gets, under the target `shardflight`:
//!
//! | level | message | fields |
//! | --- | --- | --- |
//! | debug | `cache load failed`: the loader returned an error that is not kept | |
//! | debug | `cache load slow`: a load takes longer than the [`soft_timeout`](CacheBuilder::soft_timeout), and goes on | |
//! | debug | `cache fill rejected`: a loaded value is returned and not kept | `reason`: a [`RejectReason`] |
//! | warn | `cache backs off`: a load failed whose key has a value that may be served | `failures`, `backoff` |
//!
//! Each has the field `cache` as well where the cache has a name for its metrics. Times are in seconds. No event shows a key, a value
//! or an error.
//!
#![cfg_attr(doc, doc = "The [guide] helps to choose options, and to come from moka, cached or `FusionCache`.")]

#[cfg(all(test, shardflight_shuttle))]
mod at_rest;
mod background;
mod builder;
#[expect(clippy::module_inception, reason = "the file of the type `Cache`, as all others are files of theirs")]
mod cache;
mod check;
mod claims;
mod clock;
mod config;
mod counters;
mod entry;
mod error;
mod fill;
mod find;
mod handle;
mod key;
mod lifetime;
mod limit;
mod load;
mod loader;
mod observer;
mod outcome;
mod read;
mod served;
mod state;
mod stats;
mod store;
mod tags;
mod take;
mod trace;
mod unfinished;
mod write;

/// How to choose a cache's options, and pages for those who come from another cache.
///
/// It is there in the documentation alone.
#[cfg(doc)]
pub mod guide {
    #![doc = include_str!("../../docs/guide/cache.md")]

    pub mod from_moka {
        #![doc = include_str!("../../docs/guide/from-moka.md")]
    }

    pub mod from_cached {
        #![doc = include_str!("../../docs/guide/from-cached.md")]
    }

    pub mod from_fusioncache {
        #![doc = include_str!("../../docs/guide/from-fusioncache.md")]
    }
}

#[cfg(any(feature = "dashboard", feature = "metrics"))]
pub(crate) use self::observer::CacheSource;
#[cfg(feature = "metrics")]
pub(crate) use self::observer::{CacheObserver, LoadEnd};
pub use self::{
    builder::CacheBuilder,
    cache::Cache,
    error::CacheBuildError,
    fill::{Fill, Previous},
    handle::CacheHandle,
    outcome::LoadResult,
    served::{Lookup, Served, StaleReason},
    stats::{CacheStats, RejectReason},
};
