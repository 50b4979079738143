//! The callers of a flight, in the order in which they came.
//!
//! Most flights have their leader alone, who needs no allocation.

use std::{iter::Chain, option, vec};

use super::world::World;

/// So many seats are never given back while a flight lasts.
const FEW: usize = 4;

pub(super) struct Crew<W: World> {
    /// `None` once it has left.
    leader: Option<W::Caller>,
    followers: Vec<W::Caller>,
}

/// A crew on its way out.
pub(super) type Leaving<C> = Chain<option::IntoIter<C>, vec::IntoIter<C>>;

impl<W: World> Crew<W> {
    pub(super) fn new(leader: Option<W::Caller>, followers: Vec<W::Caller>) -> Self {
        Self { leader, followers }
    }

    pub(super) fn board(&mut self, follower: W::Caller) {
        self.followers.push(follower);
    }

    pub(super) fn has_leader(&self) -> bool {
        self.leader.is_some()
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.leader.is_some()) + self.followers.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &W::Caller> {
        self.leader.iter().chain(&self.followers)
    }

    /// Takes those out that `is_out` says.
    pub(super) fn extract(&mut self, is_out: impl Fn(&W::Caller) -> bool) -> impl Iterator<Item = W::Caller> {
        let leader = self.leader.take_if(|leader| is_out(leader));
        leader.into_iter().chain(self.extract_followers(is_out))
    }

    pub(super) fn extract_followers(&mut self, is_out: impl Fn(&W::Caller) -> bool) -> impl Iterator<Item = W::Caller> {
        self.followers.extract_if(.., move |follower| is_out(follower))
    }

    /// A herd that has gone must not leave its seats allocated for as long as the flight lasts (G6). A few are kept, as the
    /// next to come would only allocate them again.
    pub(super) fn shrink(&mut self) {
        if self.followers.capacity() > FEW && self.followers.len() < self.followers.capacity() / 4 {
            self.followers.shrink_to(self.followers.len() * 2);
        }
    }

    #[cfg(test)]
    pub(super) fn seats(&self) -> usize {
        self.followers.capacity()
    }
}

impl<W: World> IntoIterator for Crew<W> {
    type Item = W::Caller;
    type IntoIter = Leaving<W::Caller>;

    fn into_iter(self) -> Self::IntoIter {
        self.leader.into_iter().chain(self.followers)
    }
}
