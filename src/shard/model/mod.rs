//! The shard in a world so small that everything that can happen in it can be tried.
//!
//! A [`Trial`] is a shard with all that surrounds it: a few callers, the queue of messages that found the shard out, running
//! work, flights that are over and not yet published, the actor's alarm, and a clock of a few ticks. At any moment it
//! knows which [`Move`]s are possible; each takes it to another state. The judge keeps books of its own and
//! compares: what the shard did in each step with what it had to do, and what it holds after each step with what it
//! should.
//!
//! Two drivers share it: `explore` goes through every state there is, `walk` through worlds too large for that, wherever
//! chance or a fuzzer leads.

/// Goes on if it does, and says what is wrong if it doesn't.
macro_rules! holds {
    ($condition:expr, $($otherwise:tt)+) => {
        if !$condition {
            return Err(format!($($otherwise)+));
        }
    };
}

mod callers;
mod copies;
mod events;
#[cfg(test)]
mod explore;
#[cfg(test)]
mod fingerprint;
mod holdings;
mod judge;
mod moves;
mod possible;
mod setting;
mod walk;
mod work;

use std::{
    collections::VecDeque,
    sync::LazyLock,
    time::{Duration, Instant},
};

#[cfg(fuzzing)]
pub(crate) use self::walk::play;
use self::{possible::Move, setting::Setting};
use super::{Completion, FlightRef, Leaves, Shard, Slot, fake::Numbers};
use crate::config::{OnAbandon, OnExpiry, Priority};

/// A step that the shard must not have taken, and what it broke.
type Judgement<T = ()> = Result<T, String>;

/// The clock's first tick. Only differences count.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn at(tick: u32) -> Instant {
    *START + Duration::from_secs(tick.into())
}

/// One state of a world: the shard, and everything around it.
struct Trial<'a> {
    setting: &'a Setting,
    shard: Shard<Numbers>,
    queue: VecDeque<Sent>,
    callers: Vec<Caller>,
    flights: Vec<Flight>,
    now: u32,
    forgets: u8,
    extensions: u8,
    renewals: u8,
    /// The actor was called, and has not looked since.
    called: bool,
    /// When the actor looks unasked.
    alarm: Option<Instant>,
    draining: bool,
    closed: bool,
    /// Flights that were cut short, and of whose work's end the shard has not heard.
    lingering: usize,
    counts: Counts,
}

/// What waits in the queue.
#[derive(Clone, Copy, Debug)]
enum Sent {
    Join(usize),
    Cancel(Place, Leaves),
    Complete(usize, Completion),
    Renew(Place, u64),
}

/// A caller's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    flight: usize,
    number: u64,
}

#[derive(Clone, Debug)]
struct Caller {
    key: u8,
    fresh: bool,
    class: Priority,
    /// The flight whose work it is.
    inside: Option<usize>,
    stage: Stage,
    /// Counts its wakers: those before the last one wake nothing any more.
    generation: u8,
    woken: bool,
    /// The flight that it waited for, if it ever did.
    joined: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its join is in the queue.
    Queued,
    /// The same, and it has left.
    Withdrawn,
    /// It was given a slot, and doesn't know yet.
    Replied(Place),
    Waiting(Place),
    /// Answered, or gone.
    Done,
}

/// A flight as the judge has it in its books.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Flight {
    itself: FlightRef,
    key: u8,
    /// When its work began, or is to begin.
    started: u32,
    /// How many ticks it may take, from then on.
    limit: Option<u32>,
    /// The flight whose execution has to end before its work begins.
    after: Option<usize>,
    /// The same where that one was under way: what it waits for itself.
    predecessor: Option<usize>,
    mapped: bool,
    joinable: bool,
    expired: bool,
    /// It was cut short, and the shard keeps it until its work is gone.
    kept: bool,
    /// When another flight began to wait for that.
    grace: Option<u32>,
    /// Its execution may overlap the key's next: it was forgotten or is overdue, or the grace was over.
    overlaps: bool,
    /// The shard was told that its execution has ended.
    gone: bool,
    leader: usize,
    work: Work,
    waiters: Vec<Waiter>,
    next_number: u64,
    /// Its work was allowed to begin.
    called: bool,
    /// As its record was told.
    class: Priority,
    /// Set when it is over.
    outcome: Option<Outcome>,
    published: bool,
    /// Wakers of its callers, until it is published.
    to_wake: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiter {
    caller: usize,
    number: u64,
    waker: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// It waits in its record to begin.
    Pending,
    /// It waits for other executions to end.
    Queued,
    /// Its leader's to poll.
    Parked,
    /// In its leader's hands.
    Polled {
        /// A second caller has come: it becomes a task after this poll.
        shared: bool,
        /// It is dropped after this poll.
        aborted: bool,
    },
    Running,
    /// Taken from its leader, or a task, and to be dropped. A task may be past that, and end as if it weren't.
    Aborted,
    /// Its completion was sent, and it sends no other; or it was dropped in its leader's hands.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Ended(Completion),
    Abandoned,
    TimedOut,
    Closed,
}

/// The judge's own count of what the shard has to count (G14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    coalesced: u64,
    errors: u64,
    rejections: u64,
    panics: u64,
    timeouts: u64,
    departures: u64,
    aborts: u64,
    forgets: u64,
    overlaps: u64,
    shed: u64,
    raised: u64,
}

impl<'a> Trial<'a> {
    fn new(setting: &'a Setting) -> Self {
        Self {
            setting,
            shard: Shard::new(0, setting.limits()),
            queue: VecDeque::new(),
            callers: Vec::new(),
            flights: Vec::new(),
            now: 0,
            forgets: setting.forgets,
            extensions: setting.extensions,
            renewals: setting.renewals,
            called: false,
            alarm: None,
            draining: false,
            closed: false,
            lingering: 0,
            counts: Counts::default(),
        }
    }

    fn mapped(&self) -> impl Iterator<Item = usize> {
        (0..self.flights.len()).filter(|&flight| self.flights[flight].mapped)
    }

    fn slot(&self, place: Place) -> Slot {
        Slot { flight: self.flights[place.flight].itself, number: place.number }
    }

    /// The callers that a flight's work waits for inside.
    fn nested_in(&self, flight: usize) -> impl Iterator<Item = usize> {
        let waits = move |caller: &Caller| caller.inside == Some(flight) && !caller.has_left();
        self.callers.iter().enumerate().filter(move |(_, caller)| waits(caller)).map(|(number, _)| number)
    }

    /// What the wait graph has: each wait from the flight whose work polls a caller to the flight that it has joined, and from that
    /// one, if it is pending, to the one before it.
    fn waits(&self) -> impl Iterator<Item = (usize, usize)> {
        let waits = |caller: &Caller| match (caller.inside, caller.stage) {
            (Some(waiting), Stage::Waiting(Place { flight, .. })) => {
                [Some((waiting, flight)), self.awaited_first(flight).map(|first| (flight, first))]
            }
            _ => [None, None],
        };
        self.callers.iter().flat_map(waits).flatten()
    }

    /// The flight under way that a pending one waits for.
    fn awaited_first(&self, flight: usize) -> Option<usize> {
        self.flights[flight].predecessor.filter(|_| !self.flights[flight].has_begun())
    }

    /// Whether a caller waits for work that waits for the caller (G12).
    fn waits_in_a_cycle(&self, caller: usize) -> bool {
        let (Some(waiting), Some(place)) = (self.callers[caller].inside, self.callers[caller].place()) else {
            return false;
        };
        let (mut next, mut seen) = (vec![place.flight], Vec::new());
        next.extend(self.awaited_first(place.flight));
        while let Some(flight) = next.pop() {
            if flight == waiting {
                return true;
            }
            if !seen.contains(&flight) {
                seen.push(flight);
                next.extend(self.waits().filter(|&(from, _)| from == flight).map(|(_, to)| to));
            }
        }
        false
    }

    /// A flight's deadline is past, and it has not expired yet.
    fn is_due(&self, flight: usize) -> bool {
        let flight = &self.flights[flight];
        let past = flight.due().is_some_and(|due| due <= self.now);
        flight.mapped && flight.has_begun() && !flight.expired && past
    }

    /// The flight that waits for this one's execution to end.
    fn successor(&self, flight: usize) -> Option<usize> {
        self.mapped().find(|&next| self.flights[next].after == Some(flight))
    }

    fn grace_is_over(&self, flight: usize) -> bool {
        self.flights[flight].grace.is_some_and(|began| began + self.setting.grace <= self.now)
    }

    /// A message finds the shard there only if none waits before it: a direct turn handles the queue first, and those are
    /// steps of their own here.
    fn is_free(&self) -> bool {
        self.queue.is_empty()
    }
}

impl Flight {
    fn has_begun(&self) -> bool {
        self.after.is_none()
    }

    /// For another execution of its key, or for any.
    fn waits_to_begin(&self) -> bool {
        matches!(self.work, Work::Pending | Work::Queued)
    }

    /// The tick of its deadline.
    fn due(&self) -> Option<u32> {
        self.limit.map(|limit| self.started + limit)
    }
}

impl Caller {
    /// Or has its answer.
    fn has_left(&self) -> bool {
        matches!(self.stage, Stage::Done | Stage::Withdrawn)
    }

    fn place(&self) -> Option<Place> {
        match self.stage {
            Stage::Replied(place) | Stage::Waiting(place) => Some(place),
            Stage::Queued | Stage::Withdrawn | Stage::Done => None,
        }
    }
}
