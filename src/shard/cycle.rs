//! Work that waits for its own flight, by way of others or not (G12).
//!
//! A flight waits for another when its work has joined the other's key. A join by a flight's work that follows may have
//! closed a cycle; one that leads cannot, as the new flight waits for nothing yet. So each nested follower sends a probe
//! from its own flight, against the direction of waiting. If it reaches the flight that was joined, the wait closed a
//! cycle, and the join that closed it is refused.
//!
//! This is the edge-chasing detection of Chandy, Misra and Haas (1983), with the walk bounded by [`MAX_HOPS`].

use super::{
    Effect, FlightRef, Shard, Types,
    message::{CycleMessage, Probe, ProbeId, Wait},
};

/// The longest cycle that is found: the deadline ends a longer one.
const MAX_HOPS: u8 = 64;

/// Asks whether `suspect`, just begun, closes a cycle.
pub(super) fn suspect<T: Types>(suspect: Wait, id: ProbeId) -> Effect<T> {
    let probe = Probe { suspect, hops: MAX_HOPS, id };
    Effect::Send { to: suspect.waiting, message: CycleMessage::Probe(probe) }
}

impl<T: Types> Shard<T> {
    /// `to` is the flight that the message was sent to.
    pub(crate) fn cycle(&mut self, to: FlightRef, message: CycleMessage, effects: &mut Vec<Effect<T>>) {
        match message {
            CycleMessage::Probe(probe) => self.pass_on(to, probe, effects),
            CycleMessage::Found(wait) => self.refuse_waiter(wait, effects),
        }
    }

    fn pass_on(&mut self, at: FlightRef, probe: Probe, effects: &mut Vec<Effect<T>>) {
        let Some(flight) = self.flights.find(at) else { return };
        if !flight.is_first_visit(probe.id) {
            return;
        }
        for waiting in flight.awaited_by() {
            if waiting == probe.suspect.awaited {
                effects.push(Effect::Send { to: waiting, message: CycleMessage::Found(probe.suspect) });
                return;
            }
            if let Some(hops) = probe.hops.checked_sub(1) {
                let probe = Probe { hops, ..probe };
                effects.push(Effect::Send { to: waiting, message: CycleMessage::Probe(probe) });
            }
        }
    }

    /// The waiter keeps its slot until it is polled: only then is it told, counted and gone. If the flight ends before, it
    /// gets the flight's outcome.
    fn refuse_waiter(&mut self, wait: Wait, effects: &mut Vec<Effect<T>>) {
        if let Some(flight) = self.flights.find(wait.awaited) {
            effects.extend(flight.refuse(wait.waiting, T::no_waker).into_iter().map(Effect::Wake));
        }
    }
}
