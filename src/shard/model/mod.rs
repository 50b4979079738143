//! The shard in a world so small that everything that can happen in it can be tried.
//!
//! A [`Trial`] is a shard with all that surrounds it: a few callers, the lane between them and the shard, running work,
//! a clock of a few ticks. At any moment it knows which [`Move`]s are possible; each takes it to another state, and
//! after each it is judged. The judge keeps books of its own on every flight and compares: what the shard did in this
//! step with what it was allowed to do, and what it holds with what it should.
//!
//! Two drives share it: `explore` goes through every state there is, `walk` through worlds too large for that, wherever
//! chance or a fuzzer leads.

/// Goes on if it does, and says what is wrong if it doesn't.
macro_rules! holds {
    ($condition:expr, $($otherwise:tt)+) => {
        if !$condition {
            return Err(format!($($otherwise)+));
        }
    };
}

#[cfg(test)]
mod explore;
mod holdings;
mod judge;
mod moves;
mod state;
mod walk;

use std::{
    cell::Cell,
    collections::VecDeque,
    sync::LazyLock,
    time::{Duration, Instant},
};

use self::moves::Move;
#[cfg(fuzzing)]
pub(crate) use self::walk::play;
use super::{Budget, Caller as Seated, FlightId, FlightRef, Probe, Rules, Shard, Standing, Wait, World};
use crate::policy::{OnAbandon, OnExpiry};

/// A step that the shard must not have taken, and what it broke.
type Judgement = Result<(), String>;

struct Tiny;

impl World for Tiny {
    type Key = u8;
    /// The caller whose work it is.
    type Work = u8;
    /// The flight it is the result of.
    type Value = FlightId;
    type Caller = Seat;
    type Task = FlightId;
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Seat {
    number: u8,
    origin: Option<FlightRef>,
}

thread_local! {
    /// Who has left, in the trial that is being played: bit by caller. Seats are copied with their shard from state to
    /// state, and who has left differs between them.
    static LEFT: Cell<u32> = const { Cell::new(0) };
}

impl Seated for Seat {
    type Key = u8;
    type Work = u8;

    fn standing(&self) -> Standing {
        Standing { left: LEFT.get() & (1 << self.number) != 0, origin: self.origin }
    }

    fn claim(&self) -> Option<u8> {
        (!self.has_left()).then_some(self.number)
    }

    fn keep(&self, key: u8) -> Option<u8> {
        self.has_left().then_some(key)
    }
}

/// What there is in a world, and how often what can be repeated for ever may happen.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing that a world has or hasn't")]
struct Setting {
    name: &'static str,
    callers: u8,
    keys: u8,
    /// Two keys that share a hash share their `Cancel`s too.
    one_hash: bool,
    max_waiters: usize,
    max_flights: usize,
    /// The flights' deadline, in ticks.
    deadline: Option<u32>,
    ticks: u32,
    on_expiry: OnExpiry,
    on_abandon: OnAbandon,
    forgets: u8,
    /// Work joins other keys, or its own.
    nested: bool,
    /// Work panics, or is dropped by its runtime.
    fails: bool,
    /// There is a drain, and an end.
    ends: bool,
}

impl Setting {
    const fn new(name: &'static str, callers: u8, keys: u8) -> Self {
        Self {
            name,
            callers,
            keys,
            one_hash: false,
            max_waiters: usize::MAX,
            max_flights: usize::MAX,
            deadline: None,
            ticks: 0,
            on_expiry: OnExpiry::Fail,
            on_abandon: OnAbandon::Finish,
            forgets: 0,
            nested: false,
            fails: false,
            ends: false,
        }
    }

    fn hash_of(&self, key: u8) -> u64 {
        if self.one_hash { 0 } else { u64::from(key) }
    }

    fn rules(&self) -> Rules {
        Rules {
            max_waiters: self.max_waiters,
            budget: Budget::new(self.max_flights),
            max_flight_duration: self.deadline.map(|ticks| Duration::from_secs(ticks.into())),
            on_expiry: self.on_expiry,
            on_abandon: self.on_abandon,
            crowd: usize::MAX,
        }
    }
}

/// The clock's first tick. Only differences count.
static DAWN: LazyLock<Instant> = LazyLock::new(Instant::now);

fn at(tick: u32) -> Instant {
    *DAWN + Duration::from_secs(tick.into())
}

/// One state of a world: the shard, and everything around it.
struct Trial<'a> {
    setting: &'a Setting,
    shard: Shard<Tiny>,
    lane: VecDeque<Sent>,
    callers: Vec<Caller>,
    flights: Vec<Flight>,
    now: u32,
    forgets: u8,
    draining: bool,
    closed: bool,
    books: Books,
}

/// What lies in the lane.
#[derive(Clone, Copy, Debug)]
enum Sent {
    Join(usize),
    Cancel(usize),
    Complete(usize, Ended),
    Probe(Probe),
    Circle(Wait),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ended {
    Returned,
    Panicked,
    Dropped,
}

#[derive(Clone, Debug)]
struct Caller {
    key: u8,
    /// The flight whose work it is.
    inside: Option<usize>,
    stage: Stage,
    left: bool,
    /// The flight it was taken aboard of, if it ever was, so that its leaving is a departure.
    boarded: Option<usize>,
    /// The shard has heard that it left.
    announced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its join lies in the lane.
    Sent,
    Aboard(usize),
    /// Answered, or gone.
    Done,
}

/// A flight as the judge has it in its books.
#[derive(Clone, Debug)]
struct Flight {
    id: FlightId,
    key: u8,
    started: u32,
    mapped: bool,
    joinable: bool,
    expired: bool,
    task: Task,
    aboard: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    Running,
    /// The shard asked for it to be dropped. It may be past that, and end as if nobody had.
    Cut,
    /// Its completion was sent, and it sends no other.
    Over,
}

/// The judge's own count of what the shard has to count (G14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Books {
    joins: u64,
    executions: u64,
    coalesced: u64,
    rejections: u64,
    panics: u64,
    timeouts: u64,
    aborts: u64,
    forgets: u64,
}
