//! What goes into a shard, and what comes out.

use std::{
    fmt,
    num::NonZeroU64,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{flight::Flight, times::Times, waiters::Waiters};
use crate::{
    config::Priority,
    error::{CaughtPanic, JoinError},
};

/// The types that a shard moves about without looking inside, apart from comparing keys. A test's are numbers.
pub(crate) trait Types {
    /// What identifies identical requests. Its `Eq` is the only user code a shard runs, and runs guarded.
    type Key: Eq;
    /// How a waiting caller is woken. Cloning, dropping or waking one may run user code, so a shard only moves it.
    type Waker;
    /// What the callers of one flight and its task share.
    type Record: Clone;

    /// For the flight of this identity, which may have so many executions beyond its first.
    fn record(flight: FlightRef, begins: Begins<&Self::Record>, takeovers: usize) -> Self::Record;

    /// Says in the record that no join finds its flight any more. Runs nothing of the user's.
    fn forget(record: &Self::Record);

    /// Says in the record of which class its flight is. True if its work may still have to wait for others.
    fn reclass(record: &Self::Record, class: Priority) -> bool;

    /// Where executions have a limit: true if the flight's work has not been allowed to begin. It never is from now on.
    fn cancel(record: &Self::Record) -> bool;
}

/// When the work of a new flight begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begins<R> {
    AtOnce,
    /// When the flight of this record, which is under way, has ended.
    After(R),
    /// When the work of a flight that was cut short is gone.
    AfterAborted,
}

/// Tells one flight from all others of its coalescer, for good.
///
/// A completion names its flight by this, never by key alone: the key may belong to a newer flight by then (G9). The
/// lowest 12 bits are the shard's number, the rest counts its flights, from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FlightId(NonZeroU64);

impl FlightId {
    const SHARDS: NonZeroU64 = NonZeroU64::new(crate::config::MAX_SHARDS as u64).expect("MAX_SHARDS is not zero");

    pub(crate) const MIN: Self = Self(NonZeroU64::MIN);
    pub(crate) const MAX: Self = Self(NonZeroU64::MAX);

    pub(crate) const fn first_of(shard: usize) -> Self {
        Self(Self::SHARDS.saturating_add(shard as u64))
    }

    pub(super) const fn next(self) -> Self {
        // 2^52 flights per shard: a million per second for a century.
        Self(self.0.saturating_add(Self::SHARDS.get()))
    }

    pub(crate) fn shard(self) -> usize {
        usize::try_from(self.0.get() % Self::SHARDS).expect("less than MAX_SHARDS")
    }

    pub(crate) fn number(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for FlightId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A flight's identity, and where to look for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlightRef {
    pub(crate) hash: u64,
    pub(crate) id: FlightId,
}

/// One caller's place among the waiters of a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) flight: FlightRef,
    /// Counts the callers of the flight in the order in which they came; the leader is 0. Never used twice.
    pub(crate) number: u64,
}

impl Slot {
    pub(crate) fn is_leader(self) -> bool {
        self.number == 0
    }
}

/// A caller wants the key's value, by its own work if no flight can be joined.
pub(crate) struct Join<T: Types> {
    pub(crate) hash: u64,
    pub(crate) key: T::Key,
    pub(crate) waker: T::Waker,
    /// The flight whose work makes this join, if one of this coalescer's does.
    pub(crate) origin: Option<FlightId>,
    /// What `inspect` is to say of the key, where the builder was given a `describe`.
    pub(crate) description: Option<Box<str>>,
    /// The leader will poll its work itself, until a second caller joins or it leaves.
    pub(crate) in_place: bool,
    /// Only a flight whose work begins after this join will do.
    pub(crate) fresh: bool,
    /// How long the flight may take that it leads, if not as long as all others.
    pub(crate) limit: Option<Duration>,
    /// Where executions have a limit. Otherwise it is the default.
    pub(crate) class: Priority,
}

/// What becomes of a join. All that is the user's and not kept comes back, to be dropped by its caller.
pub(crate) enum Joined<T: Types> {
    /// A new flight: the caller's work is to run for it.
    Leads {
        slot: Slot,
        record: T::Record,
    },
    /// A flight that another caller leads.
    Follows {
        slot: Slot,
        record: T::Record,
        key: T::Key,
        /// The flight's leader polled its work itself until now: it has to become a task.
        detaches: bool,
    },
    Refused {
        error: JoinError,
        key: T::Key,
        waker: T::Waker,
    },
}

/// What work came to, as far as a shard counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Completion {
    Value,
    /// A value that is the work's own error, where the join could tell (`try_join`).
    Error,
    Panicked,
    Aborted,
    /// Dropped before it was called.
    Uncalled,
    /// Given up before it was called, as too many waited or as it has waited for too long.
    Shed,
}

/// Why a caller gives up its slot before it has its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaves {
    ByItself,
    /// Its wait closed a cycle (G12).
    Rejected,
}

/// What became of a caller's departure.
pub(crate) enum Left<T: Types> {
    /// The flight was over already.
    NotFound,
    /// The caller's waker, to be dropped outside.
    Departed { waker: T::Waker, abandoned: Option<Cut<T>> },
}

/// What became of a waker that takes the place of an older one.
pub(crate) enum Renewed<T: Types> {
    /// The older one.
    Replaced(T::Waker),
    /// The flight is over: the outcome is published, or just about to be.
    Over(T::Waker),
}

/// A flight whose work has ended: no longer in the map, its outcome about to be published to its callers.
pub(crate) type Ended<T> = Box<Flight<T>>;

/// A flight that is over before its work has ended: its callers are about to get an error.
pub(crate) struct Cut<T: Types> {
    pub(crate) itself: FlightRef,
    /// Unless the shard keeps it, for the flight that comes next.
    pub(crate) key: Option<T::Key>,
    pub(crate) started: Instant,
    /// Where a caller has asked for them.
    pub(crate) times: Option<Arc<Times>>,
    pub(crate) record: T::Record,
    pub(crate) waiters: Waiters<T::Waker>,
}

/// What has to be done outside the shard, once it is back in its cell.
pub(crate) enum Effect<T: Types> {
    /// Publish this error to the flight's callers; abort its work if `abort` says so.
    End {
        cut: Cut<T>,
        error: JoinError,
        abort: bool,
    },
    /// The work that waits in this record is to run as a task.
    Run(T::Record),
    /// Nothing is left of this flight but what is the user's to drop.
    Discard(Box<Flight<T>>),
    /// The class of this flight, which waits to begin, has changed.
    Reclass(FlightId),
    /// The actor has to look at the time earlier than it was told to.
    SetAlarm,
    Report(Report),
}

/// What tracing is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// A flight has come to have many callers. Told once per flight.
    Crowded { flight: FlightId, waiters: usize },
    /// A flight has outlived its deadline.
    Overdue { flight: FlightId, age: Duration, waiters: usize },
    /// A flight has begun while aborted work of its key was not gone, which had been given this long to go.
    Overlapping { flight: FlightId, aborted: FlightId, grace: Duration },
    /// A flight that waits to begin is of a higher class from now on.
    Raised { flight: FlightId, class: Priority },
    /// A join was refused.
    Rejected { reason: &'static str },
    /// A turn panicked; the shard goes on.
    Recovered { shard: usize, panic: CaughtPanic },
}
