//! The heaviest of many keys in bounded memory: Space-Saving (Metwally, Agrawal and El Abbadi, 2005).

/// Counts by hash. A key that comes while all places are taken gets the place of the lightest one, and its count as an error.
///
/// No count is too small, none is too large by more than its error, and no error is greater than `total / capacity`. So each key of
/// more weight than that has a place.
pub(super) struct SpaceSaving {
    capacity: usize,
    /// Apart from the rest, so that a search reads few cache lines.
    hashes: Vec<u64>,
    places: Vec<Place>,
    total: u64,
}

pub(super) struct Place {
    pub(super) count: u64,
    pub(super) error: u64,
    pub(super) name: Option<Box<str>>,
}

impl SpaceSaving {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, hashes: Vec::new(), places: Vec::new(), total: 0 }
    }

    /// `name` is called only for a key that gets a place.
    pub(super) fn add(&mut self, hash: u64, weight: u64, name: impl FnOnce() -> Option<Box<str>>) {
        self.total += weight;
        if let Some(place) = self.hashes.iter().position(|&known| known == hash) {
            self.places[place].count += weight;
        } else if self.places.len() < self.capacity {
            self.hashes.push(hash);
            self.places.push(Place { count: weight, error: 0, name: name() });
        } else if let Some((place, lightest)) = self.places.iter_mut().enumerate().min_by_key(|(_, place)| place.count)
        {
            self.hashes[place] = hash;
            *lightest = Place { count: lightest.count + weight, error: lightest.count, name: name() };
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Place)> {
        self.hashes.iter().copied().zip(&self.places)
    }

    /// The most that a key without a place can weigh.
    pub(super) fn most_of_others(&self) -> u64 {
        if self.places.len() < self.capacity {
            return 0;
        }
        self.places.iter().map(|place| place.count).min().unwrap_or(self.total)
    }

    /// Of all keys, those without a place included.
    pub(super) fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(all(test, not(shardflight_shuttle)))]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counts_are_within_their_errors(
            capacity in 1_usize..12,
            adds in prop::collection::vec((0_u64..30, 1_u64..20), 0..300),
        ) {
            let mut counted = SpaceSaving::new(capacity);
            let mut exact = HashMap::new();
            for &(hash, weight) in &adds {
                counted.add(hash, weight, || Some(hash.to_string().into()));
                *exact.entry(hash).or_insert(0_u64) += weight;
            }
            let total = exact.values().sum::<u64>();
            prop_assert_eq!(counted.total(), total);
            prop_assert!(counted.iter().count() <= capacity);
            for (hash, place) in counted.iter() {
                let exact = exact.remove(&hash).unwrap_or(0);
                prop_assert!(place.count - place.error <= exact && exact <= place.count, "{exact} of {hash}");
                prop_assert!(place.error <= total / capacity as u64);
                let name = hash.to_string();
                prop_assert_eq!(place.name.as_deref(), Some(name.as_str()), "the name is of another key");
            }
            for (hash, exact) in exact {
                prop_assert!(exact <= counted.most_of_others(), "{hash} has no place for its {exact}");
            }
        }
    }
}
