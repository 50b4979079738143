//! The callers of a flight, in the order in which they came.
//!
//! A caller knows the number of its slot, so it can leave at once and exactly: no shard ever has to ask who is still
//! there. Numbers are never reused and never change, so slots can be compacted while the flight lasts.

use std::{iter, mem};

/// Twice as many slots are never given back while a flight lasts.
const FEW: usize = 4;

/// What each of some callers has, by the number of its slot.
#[derive(Clone)]
pub(super) struct Slots<T> {
    /// In ascending order of their numbers. `None` where the caller has left.
    slots: Vec<(u64, Option<T>)>,
    live: usize,
}

impl<T> Slots<T> {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), live: 0 }
    }

    /// `number` is larger than any before.
    pub(super) fn push(&mut self, number: u64, item: T) {
        debug_assert!(self.slots.last().is_none_or(|&(last, _)| last < number));
        self.slots.push((number, Some(item)));
        self.live += 1;
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let index = self.find(number)?;
        self.slots[index].1.as_mut()
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<T> {
        let index = self.find(number)?;
        let item = self.slots[index].1.take()?;
        self.live -= 1;
        // Half of them empty: the cost of moving the others is paid by those that left, so O(1) for each (G6).
        if self.slots.len() > FEW && self.live < self.slots.len() / 2 {
            self.compact();
        }
        Some(item)
    }

    fn compact(&mut self) {
        self.slots.retain(|(_, item)| item.is_some());
        // With room to spare: callers that come and go must not have it allocated again and again.
        let room = FEW.max(2 * self.live);
        if self.slots.capacity() > 2 * room {
            self.slots.shrink_to(room);
        }
    }

    fn find(&self, number: u64) -> Option<usize> {
        let (first, _) = *self.slots.first()?;
        // Where every slot is still there, the number tells the index.
        let guess = usize::try_from(number.checked_sub(first)?).ok()?;
        if self.slots.get(guess).is_some_and(|&(found, _)| found == number) {
            return Some(guess);
        }
        self.slots.binary_search_by_key(&number, |&(number, _)| number).ok()
    }

    pub(super) fn live(&self) -> usize {
        self.live
    }

    #[cfg(all(any(test, fuzzing), not(shardflight_shuttle)))]
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.slots.iter().filter_map(|(number, item)| Some((*number, item.as_ref()?)))
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.slots.capacity()
    }
}

/// The wakers of a flight's callers. Most flights have their leader alone, which needs no allocation.
#[derive(Clone)]
pub(crate) struct Waiters<W> {
    /// `None` once it has left.
    leader: Option<W>,
    followers: Slots<W>,
    next: u64,
}

impl<W> Default for Waiters<W> {
    /// None.
    fn default() -> Self {
        Self { leader: None, followers: Slots::new(), next: 1 }
    }
}

impl<W> Waiters<W> {
    pub(super) fn led_by(leader: W) -> Self {
        Self { leader: Some(leader), followers: Slots::new(), next: 1 }
    }

    /// The number of the new caller's slot.
    pub(super) fn push(&mut self, follower: W) -> u64 {
        let number = self.next;
        self.next += 1;
        self.followers.push(number, follower);
        number
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut W> {
        if number == 0 { self.leader.as_mut() } else { self.followers.get_mut(number) }
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<W> {
        if number == 0 { self.leader.take() } else { self.followers.remove(number) }
    }

    pub(super) fn replace(&mut self, number: u64, waker: W) -> Result<W, W> {
        match self.get_mut(number) {
            Some(older) => Ok(mem::replace(older, waker)),
            None => Err(waker),
        }
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.leader.is_some()) + self.followers.live()
    }

    /// How many callers have joined behind the leader, those that have left included.
    #[cfg(feature = "dashboard")]
    pub(super) fn followers_ever(&self) -> u64 {
        self.next - 1
    }

    /// The leader's waker: it is answered in another way.
    pub(crate) fn take_leader(&mut self) -> Option<W> {
        self.leader.take()
    }

    /// Each caller's waker, by the number of its slot.
    #[cfg(all(any(test, fuzzing), not(shardflight_shuttle)))]
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &W)> {
        self.leader.iter().map(|leader| (0, leader)).chain(self.followers.iter())
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.followers.capacity()
    }
}

impl<W> IntoIterator for Waiters<W> {
    type Item = W;
    type IntoIter = iter::Chain<std::option::IntoIter<W>, Present<W>>;

    fn into_iter(self) -> Self::IntoIter {
        self.leader.into_iter().chain(Present(self.followers.slots.into_iter()))
    }
}

/// The slots whose callers are still there.
pub(crate) struct Present<W>(std::vec::IntoIter<(u64, Option<W>)>);

impl<W> Iterator for Present<W> {
    type Item = W;

    fn next(&mut self) -> Option<W> {
        self.0.find_map(|(_, item)| item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followers(count: u64) -> Waiters<u64> {
        let mut waiters = Waiters::led_by(0);
        (1..=count).for_each(|caller| assert_eq!(waiters.push(caller), caller));
        waiters
    }

    #[test]
    fn each_caller_leaves_from_its_own_slot_whatever_was_compacted_before() {
        let mut waiters = followers(100);
        // Every third stays; compaction happens on the way.
        for number in (0..=100).filter(|number| number % 3 != 0) {
            assert_eq!(waiters.remove(number), Some(number));
            assert_eq!(waiters.remove(number), None, "a slot is freed once");
        }
        let late = waiters.push(1_000);
        assert_eq!(late, 101);
        assert_eq!(waiters.replace(99, 990), Ok(99));
        assert_eq!(waiters.len(), 35);
        let left: Vec<_> = waiters.into_iter().collect();
        let expected: Vec<_> = (0..99).step_by(3).chain([990, 1_000]).collect();
        assert_eq!(left, expected);
    }

    #[test]
    fn a_slot_is_found_by_its_number_wherever_it_has_been_moved() {
        let mut waiters = followers(10);
        (2..=7).for_each(|number| assert_eq!(waiters.remove(number), Some(number)));
        // Their places are others' by now.
        (2..=7).for_each(|number| assert_eq!(waiters.remove(number), None));
        [1, 8, 9, 10].iter().for_each(|&number| assert_eq!(waiters.replace(number, 10 * number), Ok(number)));
    }

    #[test]
    fn memory_of_those_who_left_is_given_back() {
        let mut waiters = followers(10_000);
        (1..10_000).for_each(|number| assert!(waiters.remove(number).is_some()));
        assert!(waiters.capacity() <= 8, "{}", waiters.capacity());
        assert_eq!(waiters.len(), 2);
    }

    #[test]
    fn a_number_that_was_never_given_out_is_not_found() {
        let mut waiters = followers(3);
        assert_eq!(waiters.remove(4), None);
        assert_eq!(waiters.replace(9, 1), Err(1));
    }
}
