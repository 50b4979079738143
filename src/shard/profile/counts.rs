//! What is counted: the keys that save most calls, how long flights take, and why joins are refused.

use std::{
    collections::HashMap,
    mem,
    time::{Duration, Instant},
};

use super::{Flight, Types, durations::Durations, space_saving::SpaceSaving};
use crate::error::{JoinError, JoinErrorKind};

/// Hot keys are those of this long at least, and of twice as long at most.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);

/// The most bytes of a key's description that are kept.
const DESCRIPTION: usize = 200;

pub(super) struct Counts {
    hot_keys: usize,
    current: SpaceSaving,
    /// The window before.
    before: SpaceSaving,
    /// Since when the current window counts; `None` before the first flight.
    since: Option<Instant>,
    durations: Durations,
    refusals: Vec<(JoinErrorKind, u64)>,
}

/// The same, to be taken out of the shard.
#[derive(Clone, Default)]
pub(crate) struct ProfileSnapshot {
    pub(crate) hot_keys: Vec<HotKey>,
    /// Calls that keys have saved in the time of `hot_keys`, hot or not.
    pub(crate) saved: u64,
    /// Of all flights there ever were.
    pub(crate) durations: Durations,
    pub(crate) refusals: Vec<(JoinErrorKind, u64)>,
}

/// A key that saved at least `at_least` calls and at most `at_most`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HotKey {
    pub(crate) hash: u64,
    pub(crate) at_least: u64,
    pub(crate) at_most: u64,
    pub(crate) name: Option<Box<str>>,
}

impl Counts {
    pub(super) fn new(hot_keys: usize) -> Self {
        Self {
            hot_keys,
            current: SpaceSaving::new(hot_keys),
            before: SpaceSaving::new(hot_keys),
            since: None,
            durations: Durations::default(),
            refusals: Vec::new(),
        }
    }

    /// A flight is over. Once per flight, however many callers it had.
    #[cold]
    pub(super) fn ended<T: Types>(&mut self, flight: &Flight<T>, now: Instant) {
        self.rotate(now);
        if flight.is_under_way() {
            self.durations.record(now.saturating_duration_since(flight.started));
        }
        let followers = flight.waiters.followers_ever();
        if followers > 0 {
            self.current.add(flight.itself.hash, followers, || flight.description().map(shortened));
        }
    }

    pub(super) fn refused(&mut self, error: &JoinError) {
        let kind = error.kind();
        match self.refusals.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => self.refusals.push((kind, 1)),
        }
    }

    fn rotate(&mut self, now: Instant) {
        let age = now.saturating_duration_since(*self.since.get_or_insert(now));
        if age >= WINDOW {
            self.before = mem::replace(&mut self.current, SpaceSaving::new(self.hot_keys));
            self.since = Some(now);
        }
        if age >= 2 * WINDOW {
            self.before = SpaceSaving::new(self.hot_keys);
        }
    }

    pub(super) fn snapshot(&mut self, most: usize, now: Instant) -> ProfileSnapshot {
        self.rotate(now);
        let mut keys = HashMap::new();
        for (window, other) in [(&self.current, &self.before), (&self.before, &self.current)] {
            for (hash, place) in window.iter() {
                let unseen = other.most_of_others();
                // First as if the other window had no place for it.
                let key = keys.entry(hash).or_insert(HotKey { hash, at_least: 0, at_most: unseen, name: None });
                if key.at_least > 0 {
                    // It has one.
                    key.at_most -= window.most_of_others();
                }
                key.at_least += place.count - place.error;
                key.at_most += place.count;
                key.name = key.name.take().or_else(|| place.name.clone());
            }
        }
        let mut hot_keys: Vec<_> = keys.into_values().collect();
        hottest_first(&mut hot_keys);
        hot_keys.truncate(most);
        let saved = self.current.total() + self.before.total();
        ProfileSnapshot { hot_keys, saved, durations: self.durations.clone(), refusals: self.refusals.clone() }
    }
}

impl ProfileSnapshot {
    /// Both shards'. A key may be in several, in one of each domain, and then is in here several times.
    pub(crate) fn add(&mut self, other: Self) {
        self.hot_keys.extend(other.hot_keys);
        self.saved += other.saved;
        self.durations.add(&other.durations);
        for (kind, count) in other.refusals {
            match self.refusals.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, sum)) => *sum += count,
                None => self.refusals.push((kind, count)),
            }
        }
    }
}

/// Each key once, the hottest first.
pub(crate) fn hottest_first(keys: &mut Vec<HotKey>) {
    keys.sort_by_key(|key| key.hash);
    keys.dedup_by(|key, known| {
        let is_same = key.hash == known.hash;
        if is_same {
            known.at_least += key.at_least;
            known.at_most += key.at_most;
        }
        is_same
    });
    keys.sort_by(|a, b| (b.at_least, b.at_most, a.hash).cmp(&(a.at_least, a.at_most, b.hash)));
}

/// Cut at a character's boundary.
pub(crate) fn shortened(description: &str) -> Box<str> {
    if description.len() <= DESCRIPTION {
        return description.into();
    }
    let end = (0..=DESCRIPTION).rev().find(|&end| description.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", &description[..end]).into()
}
