//! A process: its flights, its leases and its connection.

use std::{cell::Cell, collections::BTreeMap, rc::Rc};

use super::super::lease::{Asker, Event, Flight, Held, Identity, LeaseId, Renewable, Time};
use super::{net::Request, schedule::LEASE};

/// Says whether its flight is found by joins.
#[derive(Clone, Debug, Default)]
pub(super) struct Live(pub(super) Rc<Cell<bool>>);

impl Renewable for Live {
    fn is_live(&self) -> bool {
        self.0.get()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Not yet or no more.
    Rests,
    Alone,
    Led(LeaseId),
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) logic: Flight,
    pub(super) me: Asker,
    pub(super) began: Time,
    pub(super) is_strict: bool,
    pub(super) live: Live,
    pub(super) is_over: bool,
    /// It waits for pushes, until then.
    pub(super) waits: Option<Time>,
    pub(super) work: Work,
    pub(super) seen: u64,
    /// When it asked last.
    pub(super) asked: Time,
}

/// A command without an answer.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) flight: Option<usize>,
    pub(super) request: Request,
    /// It was sent again on a new connection.
    pub(super) was_repeated: bool,
    /// Its flight waits no longer.
    pub(super) is_late: bool,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) identity: Identity,
    pub(super) flights: Vec<Running>,
    pub(super) held: Held<Live>,
    pub(super) beats: bool,
    pub(super) pending: BTreeMap<u64, Pending>,
    pub(super) connection: u64,
    pub(super) is_connected: bool,
    pub(super) paused_until: Time,
    pub(super) parted_until: Time,
    /// Nothing overtakes on a connection.
    pub(super) last_sent: Time,
    pub(super) last_received: Time,
}

impl Node {
    pub(super) fn new(number: usize) -> Self {
        Self {
            identity: Identity::new(number as u64),
            flights: Vec::new(),
            held: Held::new(LEASE),
            beats: false,
            pending: BTreeMap::new(),
            connection: 1,
            is_connected: true,
            paused_until: Time::ZERO,
            parted_until: Time::ZERO,
            last_sent: Time::ZERO,
            last_received: Time::ZERO,
        }
    }

    /// The flight that a join would find.
    pub(super) fn current(&self) -> Option<usize> {
        self.flights.iter().position(|flight| !flight.is_over && flight.live.is_live())
    }

    pub(super) fn find(&self, me: Asker) -> Option<usize> {
        self.flights.iter().position(|flight| flight.me == me)
    }

    /// Whether that flight waits for this event.
    pub(super) fn hears(&self, flight: usize, event: &Event) -> bool {
        let flight = &self.flights[flight];
        !flight.is_over && (flight.waits.is_some() || !matches!(event, Event::Pushed(..) | Event::Gap | Event::Due))
    }
}
