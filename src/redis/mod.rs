//! One execution for all replicas: flights that are shared across processes, over Redis or Valkey.
//!
//! With a hundred replicas, coalescing inside each still sends a hundred requests. A handle that is taken
//! [across](crate::Handle::across) a [`Cluster`] asks Redis for a lease before a flight's work runs. One process leads, and the others
//! get its result pushed.
//!
//! ```no_run
//! use shardflight::{Coalescer, redis::Cluster};
//!
//! # async fn load(id: u64) -> String { format!("user {id}") }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster::builder("redis://127.0.0.1:6379").namespace("users").build()?; // connects to nothing yet
//! let users = Coalescer::<u64, String>::new().handle().across(cluster);
//!
//! let user = users.join(7_u64, || load(7)).await?; // runs in one process of all that ask now
//! # Ok(()) }
//! ```
//!
//! It is a wrapper around work: the coalescer knows nothing of it, and within each process [its guarantees](crate#guarantees) hold as
//! ever, whatever Redis does. Keys need a name in Redis ([`ClusterKey`]), and values a [`Codec`].
//!
//! # What it promises
//!
//! - **R1 Once, usually.** Of a key, at most one execution runs per process, always. At most one runs in the cluster while Redis answers
//!   in time, remembers its leases, and no leader stalls or is cut off for longer than half a [`lease`](ClusterBuilder::lease): a process
//!   asks for the next renewal before five twelfths of a lease are over. Each such event can cost one execution more; while Redis is away,
//!   one per process. Values that [can't be handed over](FailOpen) cost one per process,
//!   too. **This saves work. It excludes nothing: it is no lock for writes.**
//! - **R2 Fenced.** [`join_fenced`](ClusterHandle::join_fenced) gives work its [`Fence`], whose token grows from lease to lease of a key, so
//!   that a store can refuse the write of a leader that was overtaken. The result of such a leader reaches its own callers and no other
//!   process. Tokens are drawn from the Redis server's clock. If that is set back, or a replica with a slower clock takes over, a process
//!   still gets greater tokens than all it has seen; those of different processes may repeat or shrink until the clock has caught up.
//!   For as long, a store may refuse the write of the newer leader, or accept that of the one that was overtaken. So keep the clocks of
//!   servers that may replace each other synchronised.
//! - **R3 Fresh.** No flight gets a result that was published before the flight began: results are named by their lease, and a flight
//!   that comes later gets another lease. (A caller that joins its process's flight while the push is on its way shares what was published a round
//!   trip ago. If the push got lost, that is up to half a lease.) Under
//!   [`Freshness::StartedAfterCall`](crate::Freshness::StartedAfterCall), a join shares no work of any process that began before it.
//! - **R4 Failures are handed over, never remembered.** Errors and panics reach all that followed, once; the next flight starts afresh.
//!   Work that is dropped hands nothing over: one of those that followed leads next.
//! - **R5 Redis can't hurt.** A Redis that is slow, dead or cut off costs a flight [`op_timeout`](ClusterBuilder::op_timeout) for its lease
//!   and as long again for its result, and after five failures in a row nothing: a breaker opens, and the background probes. Flights then run their own work, or are refused
//!   ([`OnUnavailable`]). A flight that follows others notices a silent server within half a lease and one `op_timeout`, and a leader
//!   that died within a lease. A connection on which a call has waited for a lease is left for a new one; in a Redis Cluster, once the
//!   slots have moved.
//! - **R6 Nothing stays.** A flight that no other process follows leaves no key behind. Results for followers expire after a lease, and so
//!   does whatever a process leaves that was killed.
//!
//! # When not to use it
//!
//! - **To exclude.** See R1. Where two executions do harm, the store has to refuse one of them; [`Fence`] is what it can tell by.
//! - **Around cheap work.** A lease costs two round trips to Redis, and one and a push if it is another's.
//! - **Where work waits for other keys' work in other processes.** A cycle across processes is not detected
//!   (as [G12](crate#guarantees) is within one) and ends at the flights' deadlines.
//! - **As a cache.** A result is handed to those who wait for it. Who comes later runs the work again.
//!
//! # What a call costs
//!
//! A flight that leads costs two calls of a script, one to get the lease and one to publish. A flight that follows costs one, and gets
//! the value in a push; a value of more than [`inline`](ClusterBuilder::inline) bytes costs one call more. The lease of work that
//! takes longer than a quarter of it is renewed, by one call per third. A flight that waits asks again every half a lease, as pushes can get lost. Other
//! callers of the flight's process cost nothing. While the breaker is open, a join costs an allocation more than one of the plain handle.
//!
//! Each [`Cluster`] has one connection, for commands and pushes, on a thread of its own that the first flight starts. So neither work that
//! blocks its runtime nor a runtime that ends holds up renewals.
//!
//! # Cancellation and panics
//!
//! As [those of every join](crate#cancellation). Work that is dropped before its end, as its callers have left under
//! [`OnAbandon::Abort`](crate::OnAbandon::Abort) or as its runtime ends, gives its lease back. Work that never ends loses it when its flight
//! is past its [deadline](crate::Builder::max_flight_duration). Under [`RunWork::InPlace`](crate::RunWork::InPlace) work is polled by its
//! leader, so a caller that isn't polled holds up the processes that follow: prefer
//! [`RunWork::Detached`](crate::RunWork::Detached), the default, across a cluster.
//!
//! # Memory
//!
//! A flight that asks or follows has a mailbox of four messages; one that leads, an entry for its renewals. An encoded value is bounded by
//! [`max_value`](ClusterBuilder::max_value), and commands that were given up and still wait for their answer by 1,024. In Redis, a lease
//! takes one key and a field per flight that follows, until the lease ends: with [`OnAbandon::Abort`](crate::OnAbandon::Abort), callers
//! that come and go leave a field each, and each is told of the end.
//!
//! # Redis
//!
//! Redis 6.2 or Valkey 7.2 and newer, one server, [Redis Cluster or Sentinel](Server). Users with an ACL need `EVAL`, `EVALSHA`, `HGET`, `HSET`,
//! `HKEYS`, `PTTL`, `PEXPIRE`, `GET`, `SET`, `DEL`, `EXISTS`, `RENAME`, `TIME`, `PUBLISH`, `SUBSCRIBE` and `HELLO`, the keys
//! `{namespace:*` and the channels `shardflight:namespace:*`; with a database in the URL also `SELECT`, and with Redis Cluster
//! `CLUSTER SLOTS`, `PING` and `ASKING`. A client that may write these can answer your callers, so keep the server to yourself.
//!
//! # Observing
//!
//! [`Cluster::stats`] counts, and with the feature `metrics`, `ClusterBuilder::metrics` exports it. Besides the
//! [crate's events](crate#observing), tracing gets, under the target `shardflight` and with the field `namespace`:
//!
//! | level | message | fields |
//! | --- | --- | --- |
//! | debug | `cluster flight led` | `token`, `took_over` |
//! | debug | `cluster flight followed` | `token` |
//! | debug | `cluster flight ran alone`, or was refused to | `reason`: a [`FailOpen`] |
//! | info | `cluster connected` | |
//! | warn | `cluster lease lost`: another process had taken over when the work ended | `token` |
//! | warn | `cluster connection failed` | `error`: the client's |
//! | warn | `cluster breaker opened` | |
//!
//! The last two and `cluster connected` come from the connection's thread, which a subscriber must not block. No event shows a key, a
//! value, or an error of work.

mod background;
mod breaker;
mod builder;
mod cluster;
mod codec;
mod config;
mod counters;
mod drive;
mod envelope;
mod error;
mod fail_open;
mod fence;
mod fresh;
mod handle;
mod heartbeat;
mod key;
mod lease;
mod link;
mod mailboxes;
mod node;
mod observer;
mod operations;
mod scripts;
mod seek;
mod server;
#[cfg(test)]
mod simulation;
mod stats;
mod trace;
mod work;

/// When to use the tier and when not, how to choose its options, and how to run it.
///
/// It is there in the documentation alone.
#[cfg(doc)]
pub mod guide {
    #![doc = include_str!("../../docs/guide/cluster.md")]
}

#[cfg(feature = "postcard")]
pub use self::codec::Postcard;
#[cfg(feature = "metrics")]
pub(crate) use self::observer::{ClusterObserver, ClusterReporter};
pub use self::{
    builder::ClusterBuilder,
    cluster::Cluster,
    codec::{Codec, CodecError, Json},
    config::OnUnavailable,
    error::ClusterBuildError,
    fail_open::FailOpen,
    fence::Fence,
    handle::ClusterHandle,
    key::{ClusterKey, KeyBytes},
    server::Server,
    stats::ClusterStats,
    work::{BoxedWork, ClusterWork},
};
