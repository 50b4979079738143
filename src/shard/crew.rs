//! The callers of a flight, in the order in which they came.
//!
//! Most flights have one, who needs no allocation.

use std::{iter::Chain, option, vec};

use super::{message::Waiter, world::World};

pub(super) struct Crew<W: World> {
    first: Option<Waiter<W>>,
    others: Vec<Waiter<W>>,
}

/// A crew on its way out.
pub(crate) type Leaving<W> = Chain<option::IntoIter<Waiter<W>>, vec::IntoIter<Waiter<W>>>;

impl<W: World> Crew<W> {
    pub(super) fn new(first: Waiter<W>) -> Self {
        Self { first: Some(first), others: Vec::new() }
    }

    pub(super) fn push(&mut self, last: Waiter<W>) {
        self.others.push(last);
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiter<W>> {
        self.first.iter().chain(&self.others)
    }

    /// Takes those out that `is_out` says.
    pub(super) fn extract(&mut self, is_out: impl Fn(&Waiter<W>) -> bool) -> impl Iterator<Item = Waiter<W>> {
        let first = self.first.take_if(|waiter| is_out(waiter));
        first.into_iter().chain(self.others.extract_if(.., move |waiter| is_out(waiter)))
    }

    /// A herd that has gone must not leave its seats allocated for as long as the flight lasts (G6).
    pub(super) fn shrink(&mut self) {
        if self.others.len() < self.others.capacity() / 4 {
            self.others.shrink_to(self.others.len() * 2);
        }
    }

    #[cfg(test)]
    pub(super) fn seats(&self) -> usize {
        self.others.capacity()
    }
}

impl<W: World> FromIterator<Waiter<W>> for Crew<W> {
    fn from_iter<I: IntoIterator<Item = Waiter<W>>>(waiters: I) -> Self {
        let mut waiters = waiters.into_iter();
        Self { first: waiters.next(), others: waiters.collect() }
    }
}

impl<W: World> IntoIterator for Crew<W> {
    type Item = Waiter<W>;
    type IntoIter = Leaving<W>;

    fn into_iter(self) -> Leaving<W> {
        self.first.into_iter().chain(self.others)
    }
}
