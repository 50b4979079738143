//! Coalesces concurrent identical requests: when a thousand callers want the same key at once, the work runs once and
//! all of them get the result.
//!
//! ```
//! use shardflight::Coalescer;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::JoinError> {
//! let coalescer = Coalescer::<String, u64>::new();
//! let handle = coalescer.handle(); // clone it into every task that asks
//!
//! let answer = handle.join("user:7", || async { /* ask the database */ 42 }).await?;
//! assert_eq!(answer, 42);
//! # Ok(()) }
//! ```
//!
//! The first caller of a key is the **leader** of a **flight**: its work starts, as a task of its own. A caller that
//! joins before that work's result is published is a **follower** and shares it. After that the flight is over, and the
//! next join starts a new one. The time in which a flight can be joined is its **window**.
//!
//! # Where to start
//!
//! | | |
//! | --- | --- |
//! | [`Coalescer::new`], [`Coalescer::builder`], [`Coalescer::handle`] | build one inside a Tokio runtime, and clone its handle into every task |
//! | [`Handle::join`], [`join_shared`](Handle::join_shared) | a value, cloned for each caller or in one `Arc` |
//! | [`Handle::try_join`], [`try_join_shared`](Handle::try_join_shared) | work that returns a `Result`, whose error is `Clone` or isn't |
//! | [`Builder`] | limits, deadlines and policies, with their defaults |
//! | [`JoinError`], [`TryJoinError`] | what can go wrong |
//! | [`Handle::forget`], [`Handle::with_freshness`] | after a write |
//! | [`Handle::stats`] | what it has saved |
//! | [`guide`] | one page per task: getting started, after a write, timeouts and overload, tests, coming from another crate, alerts |
//!
//! # Features
//!
//! None is on by default. One that is off costs nothing; what each brings along is in `Cargo.toml`.
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `macros` | the attribute `#[coalesce]`, for functions and methods |
//! | `tower` | the module `tower`: a layer for axum's routers and for outgoing clients |
//! | `cache` | the module `cache`: a cache whose misses are flights |
//! | `batch` | the module `batch`: keys that callers ask for one by one, in one call of the backend |
//! | `redis`, with `redis-cluster`, `redis-sentinel`, `redis-tls`, `postcard` | the module `redis`: one execution for all replicas |
//! | `adaptive` | `Builder::adaptive_flight_duration`: a time limit that is learned |
//! | `dashboard` | the module `dashboard`: a live page for operators |
//! | `metrics` | `Builder::metrics`, `CacheBuilder::metrics` and `BatcherBuilder::metrics`, which export to the `metrics` facade |
//!
//! # When not to use it
//!
//! - **For writes.** Two requests to charge a card are not one request. Coalesce what may be answered by what another
//!   caller reads.
//! - **When the key leaves something out.** All that the answer depends on (tenant, user, language, permissions)
//!   belongs in the key, or callers get each other's answers.
//! - **As a cache.** Nothing is kept once a flight is over: a join a moment later runs its work again. The module `cache`, with the
//!   feature of that name, keeps results.
//! - **Across processes.** Each process coalesces for itself; a hundred replicas may still run the same work a hundred
//!   times. The module `redis`, with the feature of that name, shares flights among them.
//! - **For work that borrows.** It runs detached from its caller, so closure, future and value are `Send + 'static`, and values
//!   also `Sync`.
//! - **Around work cheaper than a task.** A call that no other caller joins costs two turns of a shard and a task;
//!   where callers rarely collide and work takes less than a few microseconds, do it directly.
//!
//! # Guarantees
//!
//! The numbers are used throughout the documentation and the tests.
//!
//! - **G1 Exactly once.** While a flight for a key is live, or its aborted work is not gone, no second execution for that
//!   key starts, unless the key was forgotten, the flight goes on past its deadline ([`OnExpiry::Detach`]), aborted work
//!   outlasts [`Builder::abort_grace`], or a flight that stalls is taken over, where [`Builder::on_stall`] asks for that.
//! - **G2 Callers can't hurt each other.** Any caller may be dropped at any await point, the leader included: work that
//!   has live callers runs on undisturbed and never restarts, and all other callers get its result. A caller that stays
//!   alive but isn't polled, the leader included and however early, stalls no other.
//! - **G3 Fresh.** No caller gets a result that was published before its join was first polled.
//! - **G4 Isolated.** Different keys never wait for each other: not on a lock, not on somebody's slow or blocking work,
//!   not on a caller that blocks its thread after (or between) polls of a join, a departure or a question such as
//!   `stats`. On a multi-thread runtime, what such a caller can delay is what Tokio itself queued on its worker: at
//!   most the flights that it leads.
//! - **G5 Always answered.** Every live caller gets exactly one answer, whatever fails.
//! - **G6 Nothing retained.** A published result is held by its callers alone; at quiescence every map is empty. The
//!   memory of callers that left is reclaimed while their flight still runs.
//! - **G7 Bounded.** [`Builder::max_waiters_per_flight`] and [`Builder::max_flights`] hold exactly, count live callers
//!   only, and answer with an error at once.
//! - **G8 Failures are shared, never remembered.** An error or panic reaches every caller of that flight; the next join
//!   starts afresh.
//! - **G9 Forget detaches.** After [`Handle::forget`] returns, the next join starts a new flight; the old flight's
//!   callers still get the old result, and its completion never touches the new flight.
//! - **G10 Abandoned.** When the last caller leaves a live flight, its work is finished or aborted, as [`OnAbandon`]
//!   says; no caller ever joins a dying flight. The key's next flight begins its work when the aborted work is gone, or after
//!   [`Builder::abort_grace`].
//! - **G11 Expired.** Past [`Builder::max_flight_duration`] a flight's callers are answered
//!   [`TimedOut`](JoinError::TimedOut) at once and its work is aborted, or it is detached, as [`OnExpiry`] says. A late result
//!   changes nothing. After an abort, the key's next flight waits as in G10.
//! - **G12 No self-deadlock.** Work that would wait for its own flight, directly or by way of other keys,
//!   gets [`Reentrant`](JoinError::Reentrant).
//! - **G13 Hostile types are contained.** A panic in the key's `Hash`, `Eq` or `Drop`, or the value's `Clone` or
//!   `Drop`, reaches at most the callers of that key.
//! - **G14 Honest numbers.** A leader is never counted as coalesced, and [`Stats`] agree with what ran.
//!
//! # Cancellation
//!
//! Every future of this crate may be dropped at any moment. A caller gives up by dropping its join, so
//! [`tokio::time::timeout`] and `select!` around one are safe, and [`Handle::with_max_wait`] does the same for all
//! joins of a handle:
//!
//! ```
//! # use shardflight::Coalescer;
//! use std::time::Duration;
//! use tokio::time::timeout;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # let handle = Coalescer::<String, u64>::new().handle();
//! let slow = || async {
//!     tokio::time::sleep(Duration::from_secs(1)).await;
//!     42
//! };
//! let (impatient, patient) = tokio::join!(
//!     timeout(Duration::from_millis(10), handle.join("key", slow)), // leads, and leaves
//!     handle.join("key", slow),                                     // still gets the answer
//! );
//! assert!(impatient.is_err());
//! assert_eq!(patient.unwrap(), 42);
//! # }
//! ```
//!
//! A departure frees exactly its caller's place in the flight, in the drop itself, or by a message if the shard is
//! taken at that moment.
//!
//! # Panics
//!
//! A panic in the work, in its closure as in its future, is caught where the work is polled and reaches every caller of
//! the flight as [`JoinError::Panicked`] with its message. So does one in `Hash`, `Eq` or `Clone`, for the one caller
//! that ran it. A panic in the `Drop` of a key, value or closure that the crate drops on your behalf ends there,
//! reported by the panic hook alone. With `panic = "abort"` none of this is possible.
//!
//! # Freshness
//!
//! A flight leaves its shard's map before its result is published, so a join that is first polled after the publication
//! finds no flight and starts one (G3). What a follower gets may have been *read* before it joined, by as much as the
//! flight's age. After a write there are two ways to see it:
//!
//! - [`Handle::with_freshness`] with [`Freshness::StartedAfterCall`]: the join shares only work that begins after its first
//!   poll. Of a key one flight is under way and one waits, however many callers write and read.
//! - [`Handle::forget`]: the next join starts a new flight beside the one under way. Each call may cost one execution more.
//!
//! Where results are stored, `forget` is not enough: see [A cache in front](#a-cache-in-front).
//!
//! # Where work runs
//!
//! Under [`RunWork::Detached`], the default, work is a task of its own from the start. [`RunWork::InPlace`] lets a
//! leader poll its own work while no other caller waits for it, which saves that task; when a second caller joins, or
//! the leader leaves, the work is moved into a task. All guarantees hold. Its price is listed at [`RunWork::InPlace`]:
//! task-locals that come and go, no parallelism within one task, a box.
//!
//! # Blocking
//!
//! Work runs on the runtime's worker threads as any task does: move what blocks to [`tokio::task::spawn_blocking`], or
//! use [`Handle::blocking_join`], whose work runs there by itself.
//!
//! A caller that blocks its thread holds no shard, as a shard is taken for the length of a turn alone, in which no code
//! of yours runs but the key's `Eq`. On a multi-thread runtime, what such a caller can still delay is what Tokio itself
//! queued on its worker: at most the flights that it leads, and the deadline of a shard without traffic. (Such a
//! deadline is noticed when the worker goes on, or by the next join or question that reaches the shard.)
//!
//! # Limits and deadlines
//!
//! A flight takes at most [`Builder::max_waiters_per_flight`] callers, the coalescer at most [`Builder::max_flights`]
//! flights; what is beyond is refused at once, to be shed or retried. A flight ends or is detached after
//! [`Builder::max_flight_duration`], for which each shard has one timer, so there is no sweeper and no cleanup
//! interval. [`Handle::with_max_wait`] limits one caller's wait, as does any timeout around its join. With the feature `adaptive`,
//! `Builder::adaptive_flight_duration` learns the limit from how long flights take.
//!
//! [`Builder::max_executions`] has executions beyond a number wait for others to end, by the highest [`Priority`] among
//! each flight's callers, in a queue with bounds of its own. A flight that waits can be joined, and never runs if its
//! callers all leave first.
//!
//! # Work that joins
//!
//! Work may join other keys. If that closes a cycle of flights that wait for each other, the join that closed it gets
//! [`JoinError::Reentrant`], whichever callers lead them, however many there are, and in however many coalescers. A join
//! is the work's for as long as the work polls it. A join that the work hands to a task is that task's, and a cycle
//! through one ends at its deadline; so does a cycle through a lock, or through anything else that is no join.
//!
//! Each join of work costs two changes of a graph, of which the process has one: a constant, unless a wait goes against
//! the graph's order and part of that has to change. Joins that no work polls are not in it.
//!
//! # Shutdown
//!
//! [`Coalescer::shutdown`] refuses joins, gives flights time to end, then answers those who still wait with
//! [`JoinError::Closed`] and drops their work. Work can begin the shutdown of its own coalescer, but not await it.
//!
//! Without a shutdown, the shards stop when the last [`Coalescer`], [`Handle`] and pending join is gone, and what still
//! runs then is finished or dropped as [`OnAbandon`] says. If the last of them goes while a shutdown still gives time,
//! the shutdown ends there and then, and drops what runs.
//!
//! # Rollout
//!
//! [`Builder::rollout`] and [`Handle::set_rollout`] coalesce a fraction of the keys, and [`Handle::set_enabled`] turns
//! coalescing off and on again. A join that is bypassed runs its own work in the caller's task: none of the guarantees
//! about detached work hold for it, as if the crate were not there.
//!
//! # Observing
//!
//! [`Handle::stats`] counts; [`Handle::inspect`] shows the most crowded and the oldest flights; [`with_report`](WithReport)
//! tells one caller of its own flight. The following events go to tracing, under the target `shardflight`; the names are
//! stable, times are in seconds, and without a subscriber it costs a check.
//!
//! | level | message | fields |
//! | --- | --- | --- |
//! | debug | `flight started`, inside the span `flight` | `flight` |
//! | debug | `flight completed` | `flight`, `outcome` (`value` or the error's kind), `latency`, `waiters` |
//! | debug | `flight followed`, in the follower's span | `flight` |
//! | debug | `join rejected` | `reason` |
//! | debug | `flight raised`, while it waits to begin, by a caller of a higher [`Priority`] | `flight`, `class` |
//! | debug | `flight shed`: it was given up while it waited for a permit | `flight`, `class`, `reason` |
//! | debug | `header kept requests apart`, by the layer of the feature `tower` | `header` |
//! | info | `flight limit moved`, with the feature `adaptive`: by more than a factor of two, or to its floor or ceiling | `limit`, `before`, `flights` that it was learned from |
//! | warn | `flight crowded`, once per flight at [`Builder::crowd_threshold`] | `flight`, `waiters` |
//! | warn | `flight overdue` | `flight`, `age`, `waiters` |
//! | warn | `flight overlaps`: its work begins though aborted work of its key is not gone | `flight`, `aborted`, `grace` |
//! | warn | `flight taken over`: it has one execution more ([`Builder::on_stall`]), the `takeover`th | `flight`, `takeover`, `age` |
//! | warn | `scope falls back to the process` | `scope`, `reason` |
//! | warn | `metrics name taken`: another coalescer exports under the name | `coalescer`, `label`, `remedy` |
//! | warn | `metrics recorder late`, once per coalescer: it was installed after the build | `coalescer`, `remedy` |
//! | error | `shard recovered from a panic` | `shard`, `panic` |
//!
//! `outcome` and `reason` are among `value`, `panicked`, `too_many_waiters`, `too_many_flights`, `overloaded`,
//! `queue_timed_out`, `timed_out`, `aborted`, `reentrant` and `closed`.
//!
//! Work runs inside a debug span `flight` with the field `flight`. It is a root: it *follows from* the span in which its
//! leader first polled its join, and from the spans of followers that join while its work runs
//! ([`Span::follows_from`](tracing::Span::follows_from)). It keeps none of them open, so a caller's span ends with the
//! caller, however long the flight goes on. If the subscriber doesn't want this span, a task that runs work is in none.
//!
//! With the feature `metrics`, `Builder::metrics` exports counters, gauges and histograms to the recorder of the
//! `metrics` facade that is installed; `CacheBuilder::metrics` does so for a cache and its flights.
//!
//! # Memory
//!
//! A waiting caller costs its future and a slot in its flight, for its number and its waker: no allocation of its own.
//! A follower's closure is dropped when it has joined, not kept until its answer. A flight costs its map entry, one
//! record that its callers share, its task, and the `Arc` around its value. All of it is freed when the flight is over
//! and its callers have their answers; the maps and queues of a burst shrink when it has passed. The slot of a caller
//! that leaves is free at once, and a flight's slots are compacted when more than half are free. Work that holds a
//! [`Handle`] keeps the coalescer it belongs to alive while it runs.
//!
//! # Types
//!
//! - Keys are `Eq + Hash + Send + 'static`, neither `Clone` nor `Sync`. Anything `Into<K>` serves: a `&str` for a
//!   `String`. So the compiler has to be told the type of a literal: `7_u64`, or `7_u32` within a tuple, where a plain `7`
//!   would be an `i32`.
//! - Values are `Send + Sync + 'static`, and `Clone` for [`Handle::join`]. [`Handle::join_shared`] hands out the `Arc`
//!   that all callers share, for values that can't or shouldn't be cloned.
//! - Where values are `Result`s, [`Handle::try_join`] tells the work's error from the crate's. For errors without `Clone`,
//!   such as [`std::io::Error`], [`Handle::try_join_shared`] hands out the `Arc` of the error that all callers share.
//! - `Eq` runs while a shard is taken, once or seldom more per join, and must not block: the shard's other keys would
//!   wait for it. No other code of yours runs there. [`Builder::describe`] runs in each caller, at its join's first
//!   poll.
//!
//! # Shard count
//!
//! Each shard is an actor that alone owns the flights of its share of the keys. A call takes its shard on its own
//! thread, for some 50 ns. No lock guards a map, and no thread waits for a shard: if it is taken, the message goes into
//! the shard's queue (flume's, which has a lock inside, held for a push or a pop), and the thread that has the shard
//! handles it. No two shards share anything but the count that `max_flights` is checked against and, with `max_executions`, its
//! queue. By default there are
//! four for each core that the machine has to offer, and at most 64. More of them help many cores that join many distinct
//! keys; see [`Builder::shards`]. Under [`Builder::scope`], each core or NUMA node has shards and windows of its own.
//!
//! # Runtimes
//!
//! Work and the shards' actors run on the Tokio runtime on which the coalescer was built. A join may be awaited
//! anywhere, under any executor. [`Builder::build`] takes the current runtime, [`Builder::build_on`] any. Flights' deadlines
//! are timers of that runtime too, and a caller's own [`max_wait`](Handle::with_max_wait) is one of the runtime that polls its
//! join; where there are no timers, a thread of the crate's own keeps the time. When that runtime shuts down, callers that
//! still wait get [`JoinError::Closed`] or [`JoinError::Aborted`]; on a `current_thread` runtime that is not driven, no work
//! runs and no caller is answered.
//!
//! # A cache in front
//!
//! A coalescer keeps nothing. Where a cache of another crate is in front of it, [`forget`](Handle::forget) and the cache's `invalidate`
//! are not enough after a write: work that has read before it may store after it. Either the writer joins with
//! [`Freshness::StartedAfterCall`], or the work asks whether its flight [is forgotten](Flight::is_forgotten) before and after it stores.
//! [The guide](guide::in_front_of_a_cache) has both, and what each rests on.
//!
//! # Testing
//!
//! Build a coalescer in each test. A `static` that a test's runtime has built is closed when that runtime ends, unless it was built
//! [on a runtime of its own](Builder::build_on). Deadlines and `max_wait` follow Tokio's paused clock. [The guide](guide::runtimes_and_tests)
//! has examples, and says what real I/O does to a paused clock.
//!
//! # A cache
//!
//! With the feature `cache`, the module `cache` has a cache whose misses are flights and in which invalidation works.
//!
//! # Batches
//!
//! With the feature `batch`, the module `batch` asks a backend for many keys at once, which callers ask for one by one.
//!
//! # When the backend fails
//!
//! Errors are shared and not kept (G8). Retries, a circuit breaker, a limit and a timeout belong inside the work, where they see one call
//! per flight: [the guide](guide::resilience) has the order, and code.
//!
//! # Across processes
//!
//! With the feature `redis`, the module `redis` shares flights with other processes: one of them runs the work, and the others get its
//! result.
//!
//! # In front of HTTP
//!
//! With the feature `tower`, the module `tower` has a layer for axum's routers and for outgoing clients, and says what
//! it never shares.
//!
//! # A live page
//!
//! With the feature `dashboard`, the module `dashboard` has a page for operators: what is saved, what runs, what is stuck, which keys
//! are hot.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod actor;
mod admission;
#[cfg(feature = "batch")]
pub mod batch;
mod builder;
#[cfg(feature = "cache")]
pub mod cache;
mod coalescer;
mod config;
#[cfg(any(feature = "batch", feature = "cache", feature = "redis"))]
mod counter;
#[cfg(feature = "dashboard")]
pub mod dashboard;
mod engine;
mod error;
mod flight;
mod flight_limit;
#[cfg(doc)]
pub mod guide;
mod handle;
mod hedge;
#[cfg(all(test, shardflight_shuttle))]
mod interleavings;
mod join;
#[cfg(feature = "metrics")]
pub mod metrics;
mod observer;
mod queue;
#[cfg(feature = "redis")]
pub mod redis;
mod report;
mod rollout;
mod router;
mod scope;
mod serial;
mod shard;
mod stall;
mod stats;
mod sync;
mod tally;
mod task;
#[cfg(feature = "tower")]
pub mod tower;
mod trace;
mod unwind;
mod wait_graph;

// Behind `builder`, so that rustdoc lists its option behind those that need no feature.
#[cfg(feature = "adaptive")]
mod adaptive;

#[cfg(feature = "adaptive")]
pub use self::adaptive::{Adaptive, InvalidAdaptive};
#[cfg(feature = "metrics")]
#[doc(inline)]
pub use self::metrics::Metrics;
pub use builder::Builder;
pub use coalescer::{Coalescer, Shutdown};
pub use config::{Freshness, OnAbandon, OnExpiry, Priority, RunWork};
pub use error::{
    BuildError, CaughtPanic, Closed, ClosedReason, InvalidHedgeBudget, InvalidRollout, JoinError, JoinErrorKind,
    NotExtended, SharedError, TryJoinError, ZeroFlightDuration,
};
pub use flight::Flight;
pub use handle::Handle;
pub use hedge::{Hedge, HedgedCall, HedgedWork};
pub use join::{Join, JoinShared, TryJoin, TryJoinShared, WithReport};
pub use report::{CallerRole, FlightReport};
pub use scope::{Machine, Scope, Topology};
pub use stall::OnStall;
pub use stats::{FlightInfo, Inspection, Stats};

#[cfg(feature = "macros")]
#[doc = include_str!("macros/coalesce.md")]
#[cfg_attr(feature = "cache", doc = include_str!("macros/caching.md"))]
pub use shardflight_macros::coalesce;

#[cfg(feature = "macros")]
#[doc(hidden)]
#[path = "macros/mod.rs"]
pub mod __macros;

/// What the targets in `fuzz/` need of the inside.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    /// Plays a shard's life as the bytes say, and panics where it breaks a rule.
    pub fn shard(bytes: &[u8]) {
        crate::shard::model::play(bytes);
    }
}

/// Compiles what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
