//! Asks a backend for many keys at once: keys that are asked for at about the same time go into one call, and equal keys are asked for once.
//!
//! ```
//! use shardflight::batch::{Batch, Batcher};
//!
//! # #[derive(Clone, Debug, PartialEq)] struct User { id: u64, name: String }
//! # #[derive(Clone, Debug, PartialEq)] struct DbError;
//! # impl std::fmt::Display for DbError { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("down") } }
//! # impl std::error::Error for DbError {}
//! # async fn users_by_id(ids: &[u64]) -> Result<Vec<User>, DbError> {
//! #     Ok(ids.iter().filter(|id| **id < 100).map(|id| User { id: *id, name: format!("user {id}") }).collect())
//! # }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let users = Batcher::builder(|ids: Batch<u64, User, DbError>| async move {
//!     // SELECT … WHERE id = ANY($1)
//!     for user in users_by_id(ids.keys()).await? {
//!         ids.fulfil(user.id, Ok(user));
//!     }
//!     Ok(())
//! })
//! .build()?; // clone it into every task that asks
//!
//! let (ada, bob, nobody) = tokio::join!(users.load(1_u64), users.load(2_u64), users.load(100_u64)); // one query
//! assert_eq!((ada?.unwrap().id, bob?.unwrap().id), (1, 2));
//! assert_eq!(nobody?, None);
//! # Ok(()) }
//! ```
//!
//! Each key is a flight of a [coalescer](crate::Coalescer), so what the [crate guarantees](crate#guarantees) of joins holds for loads: a
//! caller may leave at any moment, every caller is answered, and nothing is kept. A key is shared for as long as it waits or is
//! being loaded, in whichever batch. To keep values longer, put a [cache in front](crate#a-cache-in-front).
//!
//! # When a batch begins
//!
//! - If no batch is under way: after a few turns of the runtime's other tasks, which may bring more keys. There is no timer, so a key
//!   that comes alone waits microseconds.
//! - While batches are under way: when [`min_batch`](BatcherBuilder::min_batch) keys wait, or when one of those batches ends. A batch
//!   whose loader has joined a flight, a load among them, doesn't count: it may wait for a key that comes now.
//! - In any case: when [`max_batch`](BatcherBuilder::max_batch) keys wait. No batch is larger, and not more than
//!   [`max_concurrent`](BatcherBuilder::max_concurrent) are under way. Keys begin in the order in which they came.
//!
//! [`window`](BatcherBuilder::window) adds a wait for all keys.
//!
//! # What a key gets
//!
//! | the loader | the key's callers get |
//! | --- | --- |
//! | calls [`fulfil`](Batch::fulfil) with a value or an error | that, at once, while the loader does the rest |
//! | returns `Ok(())` without it | `Ok(None)` |
//! | returns an error | that error, if they have no answer yet |
//! | panics | [`JoinError::Panicked`](crate::JoinError::Panicked), if they have no answer yet |
//! | takes longer than the key's [`max_flight_duration`](crate::Builder::max_flight_duration) | [`JoinError::TimedOut`](crate::JoinError::TimedOut); the wait for a batch counts |
//!
//! # Cancellation
//!
//! A key whose callers have all left before its batch begins is not asked for. A loader is dropped, at its next await point, when its last
//! key is not waited for any more: its callers have left, or its time is up. Both rest on
//! [`OnAbandon::Abort`](crate::OnAbandon::Abort), which is the default here. A loader that has answered all of its keys may go on for the
//! time of a flight. So no loader holds its place for ever, unless flights have no deadline.
//!
//! # Loaders that load
//!
//! A loader may load other keys of its own batcher, or join other flights. What would wait for itself ends in
//! [`JoinError::Reentrant`](crate::JoinError::Reentrant): a key of the same batch, a cycle of batches or flights, and a load where all
//! places are held by loaders which wait for such loads. (A loader whose load has been answered still counts as one that waits if no
//! thread polls it for a millisecond.) As everywhere, that is found where the loader itself polls the load, and not
//! in a task that it spawns. It isn't found either where loaders hold all places and wait for other flights whose work loads from this
//! batcher: such a wait ends at the flights' deadline. Give them a batcher of their own, or places to spare.
//!
//! # User code
//!
//! | code | where it runs |
//! | --- | --- |
//! | the loader; `Hash` and `Eq` of keys in `fulfil` | in the batch's task |
//! | the key's `Clone` and `Hash`, `Clone` of values and errors | in the caller |
//! | the key's `Eq` | in a turn of the key's shard, and in the batch's task |
//! | `Drop` of keys and answers | in the caller, in the batch's task, or in a task of its own |
//! | a caller's waker | in the batch's task; with [`RunWork::Detached`](crate::RunWork::Detached), in a task of the key's |
//!
//! A panic in any of them reaches at most the callers of its key. If it isn't known whose key it was, it reaches the keys of the batch that
//! have no answer. The collector's task runs none of it.
//!
//! # Costs
//!
//! A key costs a join that leads, with [`RunWork::InPlace`](crate::RunWork::InPlace), and one allocation. A batch costs two tasks' turns or
//! more, and some six allocations. A key that is shared costs a join that follows, and the clone of its key. `benches/README.md`, in this
//! crate's repository, compares it with other data loaders.
//!
//! # Observing
//!
//! [`stats`](Batcher::stats) counts. With the feature `metrics`, `BatcherBuilder::metrics` exports all of it, with the metrics of the flights.
//! Besides the [crate's events](crate#observing), tracing gets, under the target `shardflight`:
//!
//! | level | message | fields |
//! | --- | --- | --- |
//! | debug | `batch started` | `keys` |
//! | debug | `batch ended` | `outcome` (`value`, `error`, `panicked` or `aborted`), `missing` |
//! | debug | `batch ignored an answer`: for a key that was not asked for, or that has its answer | |
//!
//! They are in the debug span `batch` with the field `keys`, in which the loader runs. It is a root, and *follows from* the spans of its
//! keys' flights. No event shows a key, a value or an error.
#![cfg_attr(doc, doc = "\nThe [guide] has recipes.")]

mod ask;
#[expect(clippy::module_inception, reason = "the file of the type `Batch`, as all others are files of theirs")]
mod batch;
mod batcher;
mod builder;
mod collector;
mod counters;
mod cycle;
mod demand;
mod dispatcher;
mod entry;
mod error;
mod inner;
mod observer;
mod port;
mod run;
mod slot;
mod stats;
mod trace;

/// How to batch what a service asks for.
///
/// It is there in the documentation alone.
#[cfg(doc)]
pub mod guide {
    #![doc = include_str!("../../docs/guide/batching.md")]
}

#[cfg(feature = "metrics")]
pub(crate) use self::observer::{BatchObserver, BatchReporter};
pub use self::{
    batch::Batch, batcher::Batcher, builder::BatcherBuilder, error::BatchBuildError, slot::Loaded, stats::BatchStats,
};
