//! Which running flights wait for which other ones, and which of them have lent their permits.
//!
//! A flight whose work waits for another flight doesn't need its permit meanwhile. If that other flight is in the queue, it gets
//! this permit, as otherwise all permits could be with flights that wait for flights in the queue. A flight lends to one other at
//! a time, and what has borrowed may lend in turn.

use std::collections::{BTreeMap, BTreeSet};

use crate::shard::FlightId;

#[derive(Default)]
pub(super) struct Loans {
    /// By the flight that waits and that which it waits for: by how many joins.
    waits: BTreeMap<(FlightId, FlightId), usize>,
    /// The other way round.
    waited_for: BTreeSet<(FlightId, FlightId)>,
    /// To whom each lender has lent.
    lent: BTreeMap<FlightId, FlightId>,
    /// From whom each borrower has its permit.
    borrowed: BTreeMap<FlightId, FlightId>,
}

impl Loans {
    pub(super) fn begin_wait(&mut self, waiting: FlightId, awaited: FlightId) {
        *self.waits.entry((waiting, awaited)).or_default() += 1;
        self.waited_for.insert((awaited, waiting));
    }

    /// One join less. True if it was the last by which the one waited for the other.
    pub(super) fn end_wait(&mut self, waiting: FlightId, awaited: FlightId) -> bool {
        // None if the flight that waited has ended.
        let Some(joins) = self.waits.get_mut(&(waiting, awaited)) else { return false };
        *joins -= 1;
        if *joins > 0 {
            return false;
        }
        self.waits.remove(&(waiting, awaited));
        self.waited_for.remove(&(awaited, waiting));
        true
    }

    /// What a flight waits for.
    pub(super) fn awaited_by(&self, waiting: FlightId) -> impl Iterator<Item = FlightId> {
        let waits = self.waits.range((waiting, FlightId::MIN)..=(waiting, FlightId::MAX));
        waits.map(|(&(_, awaited), _)| awaited)
    }

    /// A flight that waits for this one, and may lend.
    pub(super) fn lender_for(&self, awaited: FlightId) -> Option<FlightId> {
        let mut waiting = self.waited_for.range((awaited, FlightId::MIN)..=(awaited, FlightId::MAX));
        waiting.find(|(_, waiting)| self.may_lend(*waiting)).map(|&(_, waiting)| waiting)
    }

    /// It has lent to none so far.
    pub(super) fn may_lend(&self, waiting: FlightId) -> bool {
        !self.lent.contains_key(&waiting)
    }

    pub(super) fn lend(&mut self, lender: FlightId, borrower: FlightId) {
        self.lent.insert(lender, borrower);
        self.borrowed.insert(borrower, lender);
    }

    pub(super) fn has_lent_to(&self, lender: FlightId, borrower: FlightId) -> bool {
        self.lent.get(&lender) == Some(&borrower)
    }

    /// A borrower is over: the lender has its permit back, if it still waits.
    pub(super) fn repay(&mut self, borrower: FlightId) -> Option<FlightId> {
        let lender = self.borrowed.remove(&borrower)?;
        self.lent.remove(&lender);
        Some(lender)
    }

    /// A lender waits no longer: the permit stays with the borrower. True if there was a loan.
    pub(super) fn write_off(&mut self, lender: FlightId) -> bool {
        let Some(borrower) = self.lent.remove(&lender) else { return false };
        self.borrowed.remove(&borrower);
        true
    }

    /// A flight is over, and waits for none any more.
    pub(super) fn forget_waits_of(&mut self, waiting: FlightId) {
        let awaited: Vec<_> = self.awaited_by(waiting).collect();
        for awaited in awaited {
            self.waits.remove(&(waiting, awaited));
            self.waited_for.remove(&(awaited, waiting));
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.waits.is_empty() && self.waited_for.is_empty() && self.lent.is_empty() && self.borrowed.is_empty()
    }
}
