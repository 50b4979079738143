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
    leases: HashMap<LeaseId, (Time, F)>,
}

impl<F: Renewable> Held<F> {
    pub(crate) fn new(lease: Duration) -> Self {
        Self { lease, leases: HashMap::new() }
    }

    pub(crate) fn hold(&mut self, lease: LeaseId, flight: F, now: Time) {
        self.leases.insert(lease, (now, flight));
    }

    /// Before the lease is given back.
    pub(crate) fn release(&mut self, lease: LeaseId) -> Option<F> {
        self.leases.remove(&lease).map(|(_, flight)| flight)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.leases.len()
    }

    /// How often to look: a lease that is a third over by then is renewed before two thirds are, so one renewal may get lost.
    pub(crate) fn every(lease: Duration) -> Duration {
        lease / 3
    }

    /// Most flights have ended before a third of their lease is over, and are never renewed.
    pub(crate) fn due(&self, now: Time) -> Vec<(LeaseId, F)> {
        let every = Self::every(self.lease);
        let is_due = |since: Time| now.saturating_sub(since) >= every;
        let due = self.leases.iter().filter(|(_, (since, flight))| is_due(*since) && flight.is_live());
        due.map(|(lease, (_, flight))| (*lease, flight.clone())).collect()
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

    #[test]
    fn young_leases_are_left_alone() {
        let mut held = Held::new(LEASE);
        held.hold(lease(1), Fake { live: true }, Duration::ZERO);
        held.hold(lease(2), Fake { live: true }, Duration::from_millis(1));
        let due: Vec<_> = held.due(Duration::from_secs(1)).into_iter().map(|(lease, _)| lease.token).collect();
        assert_eq!(due, [1]);
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
