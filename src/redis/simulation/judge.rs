//! The rules, over books of its own.

use std::collections::BTreeMap;

use super::super::lease::{LeaseId, Time};
use super::schedule::LEASE;

#[derive(Debug)]
struct Book {
    granted: Time,
    /// By the server's clock.
    renewed: Time,
    ended: bool,
    published: Option<Time>,
    /// By which flight, and what it handed over.
    leader: Option<(usize, usize)>,
    outcome: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
pub(super) struct Judge {
    leases: BTreeMap<LeaseId, Book>,
    greatest: u64,
    /// The server's clock was set back, and has not caught up with the greatest token. Until then nodes know of each other's tokens only
    /// what they happened to see.
    stepped: bool,
    pub(super) broken: Option<String>,
}

impl Judge {
    pub(super) fn expect(&mut self, holds: bool, rule: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some(rule());
        }
    }

    /// The server looks at its clock: what it finds expired stays so, even if the clock is set back.
    pub(super) fn looked(&mut self, wall: Time) {
        self.leases.values_mut().for_each(|book| book.ended |= book.renewed + LEASE <= wall);
    }

    /// The server has granted a new lease.
    pub(super) fn granted(&mut self, lease: LeaseId, now: Time, wall: Time) {
        let beside = self.leases.iter().find(|(_, book)| !book.ended).map(|(id, _)| *id);
        self.expect(beside.is_none(), || format!("{lease} was granted beside a live one: {beside:?}"));
        // A command that is sent again, to a server that has lost or outlived the lease, is granted the same once more. Its flight has
        // not heard of the first.
        let is_repeated = self.leases.get(&lease).is_some_and(|book| book.ended && book.leader.is_none());
        if is_repeated {
            self.leases.remove(&lease);
        }
        let (greatest, stepped) = (self.greatest, self.stepped || is_repeated);
        self.expect(stepped || lease.token > greatest, || format!("{lease} is not greater than {greatest}"));
        self.expect(!self.leases.contains_key(&lease), || format!("{lease} was granted twice"));
        if lease.token > greatest {
            self.greatest = lease.token;
            // Drawn from the clock, which has caught up then.
            self.stepped &= u128::from(lease.token) > wall.as_micros();
        }
        let book = Book { granted: now, renewed: wall, ended: false, published: None, leader: None, outcome: None };
        self.leases.insert(lease, book);
    }

    pub(super) fn set_back(&mut self) {
        self.stepped = true;
    }

    pub(super) fn renewed(&mut self, lease: LeaseId, wall: Time) {
        if let Some(book) = self.leases.get_mut(&lease) {
            book.renewed = wall;
        }
    }

    /// It makes room for another, and may still be published.
    pub(super) fn detached(&mut self, lease: LeaseId) {
        if let Some(book) = self.leases.get_mut(&lease) {
            book.ended = true;
        }
    }

    pub(super) fn published(&mut self, lease: LeaseId, now: Time) {
        let Some(book) = self.leases.get_mut(&lease) else { return };
        book.ended = true;
        let is_first = book.published.replace(now).is_none();
        self.expect(is_first, || format!("{lease} was published twice"));
    }

    pub(super) fn flushed(&mut self) {
        self.leases.values_mut().for_each(|book| book.ended = true);
    }

    /// A flight runs its work under the lease.
    pub(super) fn led(&mut self, lease: LeaseId, by: (usize, usize)) {
        let leader = self.leases.get_mut(&lease).map(|book| *book.leader.get_or_insert(by));
        self.expect(leader == Some(by), || format!("{lease} is led twice: by {by:?} and {leader:?}"));
    }

    pub(super) fn handed_over(&mut self, lease: LeaseId, outcome: Vec<u8>) {
        if let Some(book) = self.leases.get_mut(&lease) {
            book.outcome = Some(outcome);
        }
    }

    /// A flight got this outcome.
    pub(super) fn followed(&mut self, lease: LeaseId, outcome: &[u8], began: Time, is_strict: bool) {
        let Some(book) = self.leases.get(&lease) else {
            return self.expect(false, || format!("{lease} was followed and never granted"));
        };
        let (is_its, published, granted) = (book.outcome.as_deref() == Some(outcome), book.published, book.granted);
        self.expect(is_its, || format!("{lease} has another outcome"));
        let is_fresh = published.is_some_and(|published| published >= began);
        self.expect(is_fresh, || format!("a flight got what {lease} published before it began"));
        self.expect(!is_strict || granted >= began, || format!("a strict flight got work of before it: {lease}"));
    }
}
