//! The leases that a node holds, and which of them to renew.

use std::{collections::HashMap, time::Duration};

use super::{LeaseId, Time};

/// What stands for a flight that holds a lease.
pub(crate) trait Renewable: Clone {
    /// Whether joins still find it. A flight that is past its deadline doesn't renew, even if its work never ends: so a lease
    /// lasts no longer than its flight by more than its own time.
    fn is_live(&self) -> bool;
}

/// A lease is in here from the moment when it is granted until its flight's work has ended or is dropped, whichever way.
#[derive(Debug)]
pub(crate) struct Held<F> {
    lease: Duration,
    leases: HashMap<LeaseId, Entry<F>>,
}

#[derive(Debug)]
struct Entry<F> {
    flight: F,
    /// When the server was asked last for what it has granted or renewed. The lease ends no sooner than its own time after that.
    since: Time,
    /// A renewal is due and has not begun. One that has begun and has no answer yet keeps no other back, as it may be lost.
    is_queued: bool,
}

impl<F: Renewable> Held<F> {
    pub(crate) fn new(lease: Duration) -> Self {
        Self { lease, leases: HashMap::new() }
    }

    /// `since`: when it was asked for, at the latest.
    pub(crate) fn hold(&mut self, lease: LeaseId, flight: F, since: Time) {
        self.leases.insert(lease, Entry { flight, since, is_queued: false });
    }

    /// Before the lease is given back.
    pub(crate) fn release(&mut self, lease: LeaseId) -> Option<F> {
        self.leases.remove(&lease).map(|entry| entry.flight)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.leases.len()
    }

    /// How often to look.
    pub(crate) fn every(lease: Duration) -> Duration {
        lease / 6
    }

    /// What to renew now. Most flights have ended before a quarter of their lease is over, and are never renewed.
    ///
    /// As it is looked at six times per lease, the first renewal begins before five twelfths of the lease are over. One that gets no
    /// answer is repeated a sixth later, and one that does follows a third later: a quarter is over at every second look, though looks may
    /// be a little late.
    pub(crate) fn due(&mut self, now: Time) -> Vec<(LeaseId, F)> {
        let age = self.lease / 4;
        let is_due = |since: Time| now.saturating_sub(since) >= age;
        let mut due = Vec::new();
        for (lease, entry) in &mut self.leases {
            if is_due(entry.since) && entry.flight.is_live() && !entry.is_queued {
                entry.is_queued = true;
                due.push((*lease, entry.flight.clone()));
            }
        }
        due
    }

    /// Whether to send a renewal that was due: its flight may have ended since.
    pub(crate) fn begins(&mut self, lease: LeaseId) -> bool {
        self.leases.get_mut(&lease).map(|entry| entry.is_queued = false).is_some()
    }

    /// The server has answered a renewal that was due then.
    pub(crate) fn renewed(&mut self, lease: LeaseId, due: Time) {
        if let Some(entry) = self.leases.get_mut(&lease) {
            entry.since = entry.since.max(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Asker, *};

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Fake {
        live: bool,
    }

    impl Renewable for Fake {
        fn is_live(&self) -> bool {
            self.live
        }
    }

    const LEASE: Duration = Duration::from_secs(3);

    fn lease(number: u64) -> LeaseId {
        LeaseId { token: number, holder: Asker { node: 1, coalescer: 1, number } }
    }

    /// When renewals of a lease that was granted so long after a tick begin, as ages of the lease, if the answer to each comes so late.
    fn renewals(phase: Duration, answers: [Option<Duration>; 4]) -> Vec<Duration> {
        let (mut held, mut begun) = (Held::new(LEASE), Vec::new());
        held.hold(lease(1), Fake { live: true }, phase);
        let mut arriving = Vec::new();
        for tick in (1..).map(|number| Held::<Fake>::every(LEASE) * number) {
            let (arrived, later): (Vec<_>, Vec<_>) = arriving.into_iter().partition(|(at, _)| *at <= tick);
            arriving = later;
            arrived.into_iter().for_each(|(_, of)| held.renewed(lease(1), of));
            for (lease, _) in held.due(tick) {
                assert!(held.begins(lease));
                let Some(answer) = answers.get(begun.len()) else { return begun };
                begun.push(tick.saturating_sub(phase));
                arriving.extend(answer.map(|late| (tick + late, tick)));
            }
        }
        begun
    }

    fn phases() -> impl Iterator<Item = Duration> {
        (0..100).map(|part| Held::<Fake>::every(LEASE) * part / 100)
    }

    #[test]
    fn the_first_renewal_begins_before_half_of_the_lease_is_over() {
        for phase in phases() {
            let begun = renewals(phase, [None; 4]);
            assert!(begun[0] >= LEASE / 4 && begun[0] < LEASE / 2, "granted {phase:?} after a tick: {begun:?}");
        }
    }

    #[test]
    fn a_renewal_that_has_no_answer_is_repeated_long_before_the_lease_ends() {
        for phase in phases() {
            // An answer takes up to a third of a lease, and then it is none.
            let begun = renewals(phase, [None; 4]);
            assert!(begun[1] < LEASE * 2 / 3, "granted {phase:?} after a tick: {begun:?}");
        }
    }

    #[test]
    fn leases_are_renewed_every_third() {
        for phase in phases() {
            let begun = renewals(phase, [Some(LEASE / 100); 4]);
            assert!(
                begun.windows(2).all(|two| two[0] + LEASE / 3 == two[1]),
                "granted {phase:?} after a tick: {begun:?}"
            );
        }
    }

    #[test]
    fn young_leases_are_left_alone() {
        let mut held = Held::new(LEASE);
        held.hold(lease(1), Fake { live: true }, Duration::ZERO);
        held.hold(lease(2), Fake { live: true }, Duration::from_millis(1));
        let due: Vec<_> = held.due(LEASE / 4).into_iter().map(|(lease, _)| lease.token).collect();
        assert_eq!(due, [1]);
    }

    #[test]
    fn a_renewal_that_waits_for_its_turn_is_not_due_again() {
        let mut held = Held::new(LEASE);
        held.hold(lease(1), Fake { live: true }, Duration::ZERO);
        assert_eq!(held.due(LEASE / 3).len(), 1);
        assert_eq!(held.due(LEASE / 2).len(), 0);
        assert!(held.begins(lease(1)));
        assert_eq!(held.due(LEASE / 2).len(), 1);
        held.release(lease(1));
        assert!(!held.begins(lease(1)), "its flight has ended meanwhile");
    }

    #[test]
    fn flights_that_are_over_dont_renew() {
        let mut held = Held::new(LEASE);
        held.hold(lease(1), Fake { live: false }, Duration::ZERO);
        held.hold(lease(2), Fake { live: true }, Duration::ZERO);
        held.release(lease(2));
        assert_eq!(held.due(LEASE), []);
        assert_eq!(held.len(), 1);
        held.release(lease(1));
        assert!(held.is_empty());
    }
}
