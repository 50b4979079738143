//! A shard alone, and what comes out of it in a form to compare. Callers are numbered from 1; their wakers are their numbers.

use std::time::{Duration, Instant};

use crate::{
    config::{OnAbandon, OnExpiry, Priority},
    error::{JoinError, NotExtended},
    shard::{
        Completion, Effect, Ended, FlightId, FlightRef, Join, Joined, Leaves, Left, Limits, Permits, Report, Shard,
        Slot,
        fake::{NEXT_RECORD, Name, Numbers, join_of},
    },
    stats::Stats,
};

#[derive(Debug, PartialEq)]
pub(super) enum Became {
    Leads(FlightId),
    /// Its slot's flight and number.
    Follows(FlightId, u64),
    Refused(&'static str),
}

#[derive(Debug, PartialEq)]
pub(super) enum Gone {
    NotFound,
    Departed(u64),
    /// The last caller, and its flight.
    Abandoned(u64, FlightId),
}

#[derive(Debug, PartialEq)]
pub(super) enum Seen {
    /// The flight, its callers, and whether its work is aborted.
    CutShort(FlightId, Vec<u64>, &'static str, bool),
    /// The work in this record.
    Begins(u64),
    /// What is left of this flight.
    Discarded(FlightId),
    /// The flight, and the one whose aborted work is not gone.
    Overlaps(FlightId, FlightId),
    Alarm,
    Crowded(FlightId, usize),
    Overdue(FlightId, usize),
    Rejected(&'static str),
    Reclassed(FlightId),
    Raised(FlightId, Priority),
}

/// How long aborted work has before the next begins beside it.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Everything allowed, nothing limited.
pub(super) fn limits(on_abandon: OnAbandon) -> Limits {
    Limits {
        max_waiters: usize::MAX,
        permits: Permits::new(usize::MAX),
        max_flight_duration: None,
        max_extended_duration: None,
        on_expiry: OnExpiry::Fail,
        on_abandon,
        abort_grace: GRACE,
        admits: false,
        crowd: usize::MAX,
        takeovers: 0,
    }
}

pub(super) struct Bench {
    pub(super) shard: Shard<Numbers>,
    effects: Vec<Effect<Numbers>>,
    pub(super) now: Instant,
    callers: u64,
}

impl Bench {
    pub(super) fn new(on_abandon: OnAbandon) -> Self {
        Self::under(limits(on_abandon))
    }

    /// The records of its flights are numbered as the flights are, from 0.
    pub(super) fn under(limits: Limits) -> Self {
        NEXT_RECORD.set(0);
        let shard = Shard::new(0, limits);
        Self { shard, effects: Vec::new(), now: Instant::now(), callers: 0 }
    }

    /// The next caller's join of key `name`, whose hash is the name itself.
    pub(super) fn join(&mut self, name: u64) -> Became {
        self.join_hashed(name, Name(name))
    }

    pub(super) fn join_all(&mut self, names: impl IntoIterator<Item = u64>) {
        for name in names {
            self.join(name);
        }
    }

    pub(super) fn join_hashed(&mut self, hash: u64, name: Name) -> Became {
        let join = join_of(hash, name, self.callers + 1);
        became(&self.join_as(join))
    }

    /// The next caller's join of key 7, changed.
    pub(super) fn join_with(&mut self, change: impl FnOnce(Join<Numbers>) -> Join<Numbers>) -> Became {
        let join = change(join_of(7, Name(7), self.callers + 1));
        became(&self.join_as(join))
    }

    pub(super) fn join_as(&mut self, join: Join<Numbers>) -> Joined<Numbers> {
        self.callers += 1;
        self.shard.join(join, self.now, &mut self.effects)
    }

    /// The callers of the flight, if it was not over before.
    pub(super) fn complete(&mut self, flight: FlightRef, completion: Completion) -> Option<Vec<u64>> {
        self.end(flight, completion).map(callers)
    }

    pub(super) fn end(&mut self, flight: FlightRef, completion: Completion) -> Option<Ended<Numbers>> {
        let now = self.now;
        self.shard.complete(flight, completion, || now, &mut self.effects)
    }

    pub(super) fn leave(&mut self, slot: Slot) -> Gone {
        self.leave_as(slot, Leaves::ByItself)
    }

    pub(super) fn reject(&mut self, slot: Slot) -> Gone {
        self.leave_as(slot, Leaves::Rejected)
    }

    fn leave_as(&mut self, slot: Slot, why: Leaves) -> Gone {
        let now = self.now;
        gone(self.shard.leave(slot, why, || now, &mut self.effects))
    }

    pub(super) fn tick(&mut self) -> Option<Instant> {
        self.shard.tick(self.now, &mut self.effects)
    }

    /// `after` of the flight that is due now.
    pub(super) fn expired_after(&mut self) -> Option<Duration> {
        self.tick();
        self.effects.drain(..).find_map(|effect| match effect {
            Effect::End { error: JoinError::TimedOut { after }, .. } => Some(after),
            _ => None,
        })
    }

    pub(super) fn extend(&mut self, flight: FlightRef, by: Duration) -> Result<Duration, NotExtended> {
        self.shard.extend(flight, by, self.now)
    }

    pub(super) fn close(&mut self, abort: bool) {
        self.shard.close(abort, &mut self.effects);
    }

    /// What the shard has asked for since this was called last.
    pub(super) fn seen(&mut self) -> Vec<Seen> {
        self.effects.drain(..).map(seen).collect()
    }

    pub(super) fn stats(&mut self) -> Stats {
        self.shard.stats(self.now)
    }

    /// Flights started, coalesced joins and rejections.
    pub(super) fn joins(&mut self) -> [u64; 3] {
        let stats = self.stats();
        [self.shard.led().flights, stats.coalesced, stats.rejections]
    }

    /// Flights and waiters.
    pub(super) fn gauges(&mut self) -> (usize, usize) {
        let stats = self.stats();
        (stats.flights, stats.waiters)
    }
}

fn became(joined: &Joined<Numbers>) -> Became {
    match joined {
        Joined::Leads { slot, .. } => Became::Leads(slot.flight.id),
        Joined::Follows { slot, .. } => Became::Follows(slot.flight.id, slot.number),
        Joined::Refused { error, .. } => Became::Refused(error.kind().as_str()),
    }
}

fn gone(left: Left<Numbers>) -> Gone {
    match left {
        Left::NotFound => Gone::NotFound,
        Left::Departed { waker, abandoned: None } => Gone::Departed(waker),
        Left::Departed { waker, abandoned: Some(cut) } => {
            assert_eq!(cut.waiters.len(), 0, "the last one has left");
            Gone::Abandoned(waker, cut.itself.id)
        }
    }
}

fn seen(effect: Effect<Numbers>) -> Seen {
    match effect {
        Effect::End { cut, error, abort } => {
            Seen::CutShort(cut.itself.id, cut.waiters.into_iter().collect(), error.kind().as_str(), abort)
        }
        Effect::Run(record) => Seen::Begins(record),
        Effect::Discard(flight) => Seen::Discarded(flight.itself.id),
        Effect::Report(Report::Overlapping { flight, aborted, .. }) => Seen::Overlaps(flight, aborted),
        Effect::SetAlarm => Seen::Alarm,
        Effect::Report(Report::Crowded { flight, waiters }) => Seen::Crowded(flight, waiters),
        Effect::Report(Report::Overdue { flight, waiters, .. }) => Seen::Overdue(flight, waiters),
        Effect::Report(Report::Rejected { reason }) => Seen::Rejected(reason),
        Effect::Reclass(flight) => Seen::Reclassed(flight),
        Effect::Report(Report::Raised { flight, class }) => Seen::Raised(flight, class),
        Effect::Report(Report::Recovered { .. }) => unreachable!("the engine reports this"),
    }
}

#[expect(clippy::boxed_local, reason = "as it comes out of the map")]
pub(super) fn callers(ended: Ended<Numbers>) -> Vec<u64> {
    ended.waiters.into_iter().collect()
}

pub(super) fn kind(error: &JoinError) -> &'static str {
    error.kind().as_str()
}

pub(super) const FIRST: FlightId = FlightId::first_of(0);
pub(super) const SECOND: FlightId = FIRST.next();
pub(super) const THIRD: FlightId = SECOND.next();

/// The flight after `n` others, for the key `name`.
pub(super) fn flight(name: u64, n: u64) -> FlightRef {
    FlightRef { hash: name, id: (0..n).fold(FIRST, |id, _| id.next()) }
}

pub(super) fn slot(flight: FlightRef, number: u64) -> Slot {
    Slot { flight, number }
}
