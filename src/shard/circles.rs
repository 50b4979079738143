//! Work that waits for its own flight would wait for ever (G12).
//!
//! Work of flight A joins B, and work of B joins A: each join alone is fine, together they are a circle. Whichever join
//! comes last closes it, and always by boarding a flight that is there, as a new flight waits for nobody. So every join
//! that work makes and that boards a flight sends a probe back along the waiting, from flight to those that wait for
//! it, shard to shard; if it comes to the flight that was boarded, that join gets [`JoinError::Reentrant`]. This is the
//! edge chasing of Chandy, Misra and Haas (1983), against the edges, since a flight knows its waiters. Joins that aren't
//! made by work pay a `None`.

use super::{
    Effect, FlightRef, Message, Probe, Shard, Wait, World, boarding::turn_away, crew::Crew, message::ProbeId, reap,
};
use crate::{error::JoinError, policy::OnAbandon};

/// The longest circle that is found: the deadline ends a longer one.
const MAX_HOPS: u8 = 64;

/// Asks whether `wait`, just begun, closes a circle.
pub(super) fn suspect<W: World>(suspect: Wait, id: ProbeId) -> Effect<W> {
    send(suspect.waiting, Message::Probe(Box::new(Probe { suspect, at: suspect.waiting, hops: MAX_HOPS, id })))
}

fn send<W: World>(to: FlightRef, message: Message<W>) -> Effect<W> {
    Effect::Send { shard: to.id.shard(), message }
}

impl<W: World> Shard<W> {
    pub(super) fn probe(&mut self, probe: Probe, effects: &mut Vec<Effect<W>>) {
        let Some(flight) = self.find(probe.at) else { return };
        if !flight.is_first_visit(&probe) {
            return;
        }
        for waiting in flight.awaited_by() {
            if waiting == probe.suspect.awaited {
                effects.push(send(waiting, Message::Circle(probe.suspect)));
                return;
            }
            if let Some(hops) = probe.hops.checked_sub(1) {
                effects.push(send(waiting, Message::Probe(Box::new(Probe { at: waiting, hops, ..probe }))));
            }
        }
    }

    /// Puts the wait that closed a circle off the flight it waits for.
    pub(super) fn circle(&mut self, circle: Wait, effects: &mut Vec<Effect<W>>) {
        let Some(flight) = self.flights.find_mut(circle.awaited.hash, |candidate| candidate.is(circle.awaited)) else {
            return;
        };
        let off = flight.put_off(circle.waiting);
        if off.is_empty() {
            return;
        }
        self.waiters -= off.len();
        // Where fewer are aboard, departures that weren't worth a look before may be the greater part of them now.
        if flight.is_worth_looking() {
            self.waiters -= reap(flight, &mut self.counters);
        }
        let abandoned = flight.waiters() == 0 && self.rules.on_abandon == OnAbandon::Abort;
        // They had been counted as coalesced, and turn out not to be; unless the counters were reset in between.
        let recounted = self.counters.coalesced.min(off.len() as u64);
        self.counters.coalesced -= recounted;
        self.counters.rejections += recounted;
        turn_away(Crew::new(None, off), JoinError::Reentrant, effects);
        if abandoned {
            self.abandon(circle.awaited, effects);
        }
    }
}
