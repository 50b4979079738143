//! A graph of flights that wait for each other, kept without cycles.
//!
//! The flights have an order in which each stands before those that it waits for. A wait that agrees with the order is added
//! at once. One that does not has the flights between the two ends looked at, and either closes a cycle or has some of
//! them change places. This is the dynamic topological sort of Pearce and Kelly (2006). A flight that begins to wait goes
//! before all others, and one that begins to be awaited behind them, so work that only starts new flights, or joins what
//! its siblings started, never has anything looked at.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use crate::shard::FlightId;

/// Tells one flight from all others of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) coalescer: u64,
    pub(crate) flight: FlightId,
    /// Stands for the flight up to the moment at which its work begins. What the work waits for then is the flight's own.
    pub(crate) is_pending: bool,
}

/// The work of one flight waits for another flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) waiting: Node,
    pub(crate) awaited: Node,
}

/// The wait would have closed a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cycle;

#[derive(Default)]
pub(crate) struct Graph {
    flights: HashMap<Node, Links>,
    /// No flight has a place outside of these.
    first: i64,
    last: i64,
}

struct Links {
    place: i64,
    /// Each with how many joins make it wait.
    waits_for: HashMap<Node, usize>,
    awaited_by: HashSet<Node>,
}

/// Whether a table is worth shrinking. What that costs is paid by those that have left it (G6).
fn is_spacious(capacity: usize, len: usize) -> bool {
    capacity > 64 && len < capacity / 8
}

impl Graph {
    /// A further join by which one flight waits for another. If it would close a cycle, it is not added.
    pub(crate) fn add(&mut self, wait: Wait) -> Result<(), Cycle> {
        let Wait { waiting, awaited } = wait;
        if waiting == awaited {
            return Err(Cycle);
        }
        let (before, behind) = (self.first - 1, self.last + 1);
        let from = self.place_of(waiting, before);
        let to = self.place_of(awaited, behind);
        if from > to {
            self.make_room(wait, from, to)?;
        }
        if let Some(links) = self.flights.get_mut(&waiting) {
            *links.waits_for.entry(awaited).or_default() += 1;
        }
        if let Some(links) = self.flights.get_mut(&awaited) {
            links.awaited_by.insert(waiting);
        }
        Ok(())
    }

    /// One join less.
    pub(crate) fn remove(&mut self, wait: Wait) {
        let Some(links) = self.flights.get_mut(&wait.waiting) else { return };
        match links.waits_for.get_mut(&wait.awaited) {
            Some(joins) if *joins > 1 => *joins -= 1,
            _ => self.remove_all(wait),
        }
    }

    /// However many joins there are.
    pub(crate) fn remove_all(&mut self, wait: Wait) {
        let Wait { waiting, awaited } = wait;
        let Some(links) = self.flights.get_mut(&waiting) else { return };
        if links.waits_for.remove(&awaited).is_none() {
            return;
        }
        if is_spacious(links.waits_for.capacity(), links.waits_for.len()) {
            links.waits_for.shrink_to_fit();
        }
        self.forget_if_alone(waiting);
        if let Some(links) = self.flights.get_mut(&awaited) {
            links.awaited_by.remove(&waiting);
            if is_spacious(links.awaited_by.capacity(), links.awaited_by.len()) {
                links.awaited_by.shrink_to_fit();
            }
        }
        self.forget_if_alone(awaited);
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    fn place_of(&mut self, node: Node, otherwise: i64) -> i64 {
        let (first, last) = (&mut self.first, &mut self.last);
        let links = self.flights.entry(node).or_insert_with(|| {
            (*first, *last) = ((*first).min(otherwise), (*last).max(otherwise));
            Links { place: otherwise, waits_for: HashMap::new(), awaited_by: HashSet::new() }
        });
        links.place
    }

    fn forget_if_alone(&mut self, node: Node) {
        let Entry::Occupied(links) = self.flights.entry(node) else { return };
        if links.get().waits_for.is_empty() && links.get().awaited_by.is_empty() {
            links.remove();
            if is_spacious(self.flights.capacity(), self.flights.len()) {
                self.flights.shrink_to_fit();
            }
        }
    }

    /// Moves what the awaited flight waits for behind what waits for the waiting one, each group in its own order and into the
    /// places that the two have together. `from` and `to` are the places of the wait's ends.
    fn make_room(&mut self, wait: Wait, from: i64, to: i64) -> Result<(), Cycle> {
        let mut later = self.reach(wait.awaited, |links| links.waits_for.keys(), |place| place <= from);
        if later.iter().any(|&(_, node)| node == wait.waiting) {
            return Err(Cycle);
        }
        let mut earlier = self.reach(wait.waiting, |links| links.awaited_by.iter(), |place| place >= to);
        earlier.sort_unstable_by_key(|&(place, _)| place);
        later.sort_unstable_by_key(|&(place, _)| place);
        let mut places: Vec<_> = earlier.iter().chain(&later).map(|&(place, _)| place).collect();
        places.sort_unstable();
        for (place, (_, node)) in places.into_iter().zip(earlier.into_iter().chain(later)) {
            if let Some(links) = self.flights.get_mut(&node) {
                links.place = place;
            }
        }
        Ok(())
    }

    /// What is reached from `start` by way of places within a bound, and where it is.
    fn reach<'a, N>(
        &'a self,
        start: Node,
        neighbours: impl Fn(&'a Links) -> N,
        within: impl Fn(i64) -> bool,
    ) -> Vec<(i64, Node)>
    where
        N: Iterator<Item = &'a Node>,
    {
        let (mut reached, mut seen, mut next) = (Vec::new(), HashSet::from([start]), vec![start]);
        while let Some(node) = next.pop() {
            let Some(links) = self.flights.get(&node) else { continue };
            reached.push((links.place, node));
            let is_within = |node: &Node| self.flights.get(node).is_some_and(|links| within(links.place));
            next.extend(neighbours(links).filter(|node| is_within(node) && seen.insert(**node)));
        }
        reached
    }

    /// Each stands before those that it waits for.
    #[cfg(all(test, not(shardflight_shuttle)))]
    fn is_in_order(&self) -> bool {
        let before = |links: &Links, awaited| self.flights.get(awaited).is_some_and(|to| links.place < to.place);
        self.flights.values().all(|links| links.waits_for.keys().all(|awaited| before(links, awaited)))
    }
}

#[cfg(all(test, not(shardflight_shuttle)))]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn node(number: usize) -> Node {
        Node { coalescer: 0, flight: FlightId::first_of(number), is_pending: false }
    }

    fn wait(waiting: usize, awaited: usize) -> Wait {
        Wait { waiting: node(waiting), awaited: node(awaited) }
    }

    /// Whether `to` is reached from `from`, found out the plain way.
    fn leads_to(waits: &[(usize, usize)], from: usize, to: usize) -> bool {
        let (mut seen, mut next) = (HashSet::new(), vec![from]);
        while let Some(at) = next.pop() {
            if at == to {
                return true;
            }
            if seen.insert(at) {
                next.extend(waits.iter().filter(|wait| wait.0 == at).map(|wait| wait.1));
            }
        }
        false
    }

    proptest! {
        #[test]
        fn a_wait_is_refused_exactly_if_it_closes_a_cycle(
            steps in vec((0..8_usize, 0..8_usize, prop::bool::weighted(0.3)), 0..120),
        ) {
            let mut graph = Graph::default();
            let mut waits: Vec<(usize, usize)> = Vec::new();
            for (from, to, removes) in steps {
                if removes && !waits.is_empty() {
                    let (from, to) = waits.swap_remove((8 * from + to) % waits.len());
                    graph.remove(wait(from, to));
                } else {
                    let expected = if leads_to(&waits, to, from) { Err(Cycle) } else { Ok(()) };
                    prop_assert_eq!(graph.add(wait(from, to)), expected, "{} waits for {}: {:?}", from, to, waits);
                    if expected.is_ok() {
                        waits.push((from, to));
                    }
                }
                prop_assert!(graph.is_in_order());
            }
            for (from, to) in waits {
                graph.remove(wait(from, to));
            }
            prop_assert!(graph.is_empty());
        }
    }

    #[test]
    fn a_cycle_of_any_length_is_found() {
        let mut graph = Graph::default();
        // Both ways round, so that the order of the additions agrees with the waits, and does not.
        (0..1_000).for_each(|number| assert!(graph.add(wait(number, number + 1)).is_ok()));
        (2_000..3_000).for_each(|number| assert!(graph.add(wait(5_000 - number, 4_999 - number)).is_ok()));
        assert_eq!(graph.add(wait(1_000, 0)), Err(Cycle));
        assert_eq!(graph.add(wait(2_000, 3_000)), Err(Cycle));
    }

    #[test]
    fn work_that_joins_what_its_siblings_started_changes_no_order() {
        let mut graph = Graph::default();
        for number in 0..2_000 {
            for awaited in [number + 1, number + 2] {
                assert!(graph.add(wait(number, awaited)).is_ok());
            }
            // Nothing was moved: each new flight is the last.
            assert_eq!(graph.flights[&node(number + 2)].place, graph.last);
        }
    }

    #[test]
    fn memory_is_given_back() {
        let mut graph = Graph::default();
        (1..=3_000).for_each(|number| assert!(graph.add(wait(0, number)).is_ok()));
        (1..=3_000).for_each(|number| graph.remove(wait(0, number)));
        assert!(graph.is_empty() && graph.flights.capacity() <= 64, "{}", graph.flights.capacity());
    }
}
