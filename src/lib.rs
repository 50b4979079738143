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
//! The first caller of a key is the **leader** of a **flight**: its work starts, as a task of its own. Whoever joins
//! before that work's result is published is a **follower** and shares it. After that the flight is forgotten, and the
//! next join starts a new one. The time in which a flight can be joined is its **window**.
//!
//! # When not to use it
//!
//! - **For writes.** Two requests to charge a card are not one request. Coalesce what may be answered by somebody else's
//!   reading.
//! - **When the key leaves something out.** All that the answer depends on (tenant, user, language, permissions) belongs
//!   in the key, or callers get each other's answers.
//! - **As a cache.** Nothing is kept once a flight has landed: a join a moment later runs its work again.
//! - **Across processes.** Each process coalesces for itself; a hundred replicas may still run the same work a hundred
//!   times.
//! - **For work that borrows.** It runs detached from its caller, so closure, future and value are `Send + 'static`.
//! - **Around work cheaper than a task switch.** A lonely call costs the hop to its shard and a task; where callers rarely
//!   collide and work takes less than microseconds, do it directly.
//!
//! # Guarantees
//!
//! The numbers are used throughout the documentation and the tests.
//!
//! - **G1 Exactly once.** While a flight for a key is live, no second execution for that key starts, unless the key was
//!   forgotten or the flight expired.
//! - **G2 Callers can't hurt each other.** Any caller may be dropped at any await point, the leader included: work that
//!   has live callers runs on undisturbed and never restarts, and everyone else gets its result. A caller that stays
//!   alive but isn't polled stalls nobody.
//! - **G3 Fresh.** Nobody gets a result that was published before their join was first polled.
//! - **G4 Isolated.** Different keys never wait for each other's work.
//! - **G5 Always answered.** Every live caller gets exactly one answer, whatever fails.
//! - **G6 Nothing retained.** A published result is held by nobody but its callers; at quiescence every map is empty.
//!   The memory of callers that left is reclaimed while their flight still runs.
//! - **G7 Bounded.** [`Builder::max_waiters_per_flight`] and [`Builder::max_flights`] hold exactly, count live callers
//!   only, and answer with an error at once.
//! - **G8 Failures are shared, never remembered.** An error or panic reaches every caller of that flight; the next join
//!   starts afresh.
//! - **G9 Forget detaches.** After [`Handle::forget`] returns, the next join starts a new flight; the old flight's
//!   callers still get the old result, and its completion never touches the new flight.
//! - **G10 Abandoned.** When the last caller leaves a live flight, its work ends in peace or is dropped, as
//!   [`OnAbandon`] says; nobody ever joins a dying flight.
//! - **G11 Expired.** Past [`Builder::max_flight_duration`] a flight's callers are answered
//!   [`TimedOut`](JoinError::TimedOut) and its work is dropped, or it is detached, as [`OnExpiry`] says. A late result
//!   changes nothing.
//! - **G12 No self-deadlock.** Work that would wait for its own flight, directly or by way of other keys of the same
//!   coalescer, gets [`Reentrant`](JoinError::Reentrant).
//! - **G13 Hostile types are contained.** A panic in the key's `Hash`, `Eq` or `Drop`, or the value's `Clone` or `Drop`,
//!   reaches at most the callers of that key.
//! - **G14 Honest numbers.** A leader is never counted as coalesced, and [`Stats`] agree with what ran.
//!
//! # Cancellation
//!
//! Every future of this crate may be dropped at any moment. A caller gives up by dropping its join, so
//! [`tokio::time::timeout`] and `select!` around one are safe, and [`Handle::with_max_wait`] does the same for all joins of a
//! handle:
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
//! The shard learns of a departure by a message; half of a flight's callers may have left before it looks for them, and
//! the last one's leaving is noticed at once.
//!
//! # Panics
//!
//! A panic in the work, in its closure as in its future, is caught in the work's task and reaches every caller of the
//! flight as [`JoinError::Panicked`] with its message. So does one in `Hash`, `Eq` or `Clone`, for the one caller that
//! ran it. A panic in the `Drop` of a key, value or closure that the crate drops on your behalf ends there, reported by
//! the panic hook alone. With `panic = "abort"` none of this can be.
//!
//! # Freshness
//!
//! A key's joins and completions travel through one queue to the one shard that owns the key. A result is published by
//! putting its completion into that queue, so a join that comes after it finds no flight to board (G3). What a follower
//! gets may have been *read* before it joined, by as much as the flight's age: after a write, call [`Handle::forget`].
//!
//! # Blocking
//!
//! Work runs on the runtime's worker threads as any task does: move what blocks to [`tokio::task::spawn_blocking`], or
//! use [`Handle::blocking_join`], whose work runs there by itself. Work or a caller that blocks its thread all the same
//! keeps that thread from everyone, but not its shard: on a multi-thread runtime another worker takes the shard over.
//!
//! # Limits and deadlines
//!
//! A flight takes at most [`Builder::max_waiters_per_flight`] callers, the coalescer at most [`Builder::max_flights`]
//! flights; what is beyond is refused at once, to be shed or retried. A flight ends or is detached after
//! [`Builder::max_flight_duration`], which one timer per shard sees to, so there is no sweeper and no cleanup interval.
//! A caller's own patience is [`Handle::with_max_wait`]'s, or that of any timeout around its join.
//!
//! # Work that joins
//!
//! Work may join other keys. If that closes a circle of flights that wait for each other, the join that closed it gets
//! [`JoinError::Reentrant`], whoever leads them. It is the work's own task that is known; a task that the work spawns is
//! a caller like any other, and a circle through one ends at its deadline. The same goes for a circle through two
//! coalescers.
//!
//! # Shutdown
//!
//! [`Coalescer::shutdown`] refuses joins, gives flights time to land, then answers whoever still waits with
//! [`JoinError::Closed`] and drops their work. Without it, the shards stop when the last [`Coalescer`], [`Handle`] and
//! pending join is gone, and what still runs then is finished or dropped as [`OnAbandon`] says. If the last of them goes
//! while a shutdown still gives time, the shutdown ends there and then, and drops what runs.
//!
//! # Rollout
//!
//! [`Builder::rollout`] and [`Handle::set_rollout`] coalesce a fraction of the keys, and [`Handle::set_enabled`] turns
//! coalescing off and on again. A join that is bypassed runs its own work in place, in the caller's task: none of the
//! guarantees about detached work hold for it, as if the crate were not there.
//!
//! # Observing
//!
//! [`Handle::stats`] counts; [`Handle::inspect`] shows the most crowded and the oldest flights. Tracing hears of what
//! follows, under the target `shardflight`; the names are stable, times are in seconds, and with no subscriber it costs a
//! check.
//!
//! | level | message | fields |
//! | --- | --- | --- |
//! | debug | `flight started`, inside the span `flight` | `flight` |
//! | debug | `flight landed` | `flight`, `outcome` (`value` or the error's kind), `latency`, `waiters` |
//! | debug | `flight followed`, in the follower's span | `flight` |
//! | debug | `join rejected` | `reason` |
//! | warn | `flight crowded`, once per flight at [`Builder::crowd_threshold`] | `flight`, `waiters` |
//! | warn | `flight overdue` | `flight`, `age`, `waiters` |
//! | warn | `scope falls back to the process` | `scope`, `reason` |
//! | error | `shard recovered from a panic` | `shard`, `panic` |
//!
//! `outcome` and `reason` are among `value`, `panicked`, `too_many_waiters`, `too_many_flights`, `timed_out`, `aborted`,
//! `reentrant` and `closed`. Work runs inside a debug span `flight` with the field `flight`, below the span that was current when its leader first
//! polled its join.
//!
//! With the feature `metrics`, `Builder::metrics` exports counters, gauges and histograms to whatever recorder of the
//! `metrics` facade is installed.
//!
//! # Memory
//!
//! A waiting caller costs its future, one allocation that holds its work and in the end its answer, and a pointer's room in
//! its flight. A flight costs its map entry and its task. All of it is freed when the flight lands; the maps and queues of a
//! burst shrink when it has passed. A caller that has left is let go of when half of its flight's callers have, or sooner.
//! Work that holds a [`Handle`] keeps the coalescer it belongs to alive while it runs.
//!
//! # Types
//!
//! - Keys are `Eq + Hash + Send + 'static`, neither `Clone` nor `Sync`. Anything `Into<K>` serves: a `&str` for a
//!   `String`.
//! - Values are `Send + Sync + 'static`, and `Clone` for [`Handle::join`]. [`Handle::join_shared`] hands out the `Arc`
//!   that all callers share, for values that can't or shouldn't be cloned.
//! - `Eq` runs inside a shard, once or seldom more per join, and must not block. So does what
//!   [`Builder::describe`] is given, for the few keys that are inspected. Nothing else of yours does.
//!
//! # Shard count
//!
//! Each shard is an actor that alone owns the flights of its share of the keys; there are no locks around them, and no
//! two shards share anything but the count that `max_flights` is checked against. By default there are as many as the
//! machine has cores to offer, and at most 16. More spread the load of many cores joining many keys; fewer batch better and
//! cost fewer wake-ups when traffic is sparse. See [`Builder::shards`]. Under [`Builder::scope`], each core or NUMA node has shards and windows of its own.
//!
//! # Runtimes
//!
//! Shards and work run on the Tokio runtime on which the coalescer was built. A join may be awaited anywhere, under any
//! executor. Timers are that runtime's too; one built without them is kept time for by a thread of the crate's own. When
//! that runtime shuts down, whoever still waits gets [`JoinError::Closed`] or [`JoinError::Aborted`]; a
//! `current_thread` runtime that nobody drives answers nobody.
//!
//! # In front of HTTP
//!
//! With the feature `tower`, the module `tower` has a layer for axum's routers and for outgoing clients, and says what it
//! never shares.

#[cfg(not(shardflight_shuttle))]
mod actor;
mod alarm;
mod bell;
mod blocking;
mod builder;
mod choices;
mod coalescer;
mod control;
mod drain;
mod error;
mod estate;
mod handle;
mod host;
mod inspection;
#[cfg(all(test, shardflight_shuttle))]
mod interleavings;
mod join;
mod joining;
mod lane;
mod live;
#[cfg(feature = "metrics")]
mod metrics;
mod panics;
mod patience;
mod policy;
mod pump;
mod rollout;
mod router;
mod running;
mod scope;
mod shard;
mod sight;
mod stats;
mod ticket;
#[cfg(not(shardflight_shuttle))]
mod timers;
#[cfg(feature = "tower")]
pub mod tower;
mod watch;
mod work;

#[cfg(feature = "metrics")]
pub use self::metrics::Metrics;
pub use builder::Builder;
pub use coalescer::{Coalescer, Shutdown};
pub use error::{BuildError, CaughtPanic, Closed, InvalidRollout, JoinError, TryJoinError};
pub use handle::Handle;
pub use inspection::{FlightInfo, Inspection};
pub use join::{Join, JoinShared, TryJoin};
pub use policy::{OnAbandon, OnExpiry};
pub use scope::{Machine, Scope, Topology};
pub use stats::Stats;

#[cfg(feature = "macros")]
#[doc = include_str!("macros/coalesce.md")]
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
