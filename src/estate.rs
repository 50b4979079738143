//! What nobody wants any more, on its way to where its drop hurts nobody.

use std::mem;

use crate::{
    live::{Key, Live, Value},
    panics::drop_contained,
    shard::Remains,
};

/// Dropped one by one, each contained, wherever that happens to be: a runtime that goes away drops its tasks unpolled, and
/// of two panics in one drop the second would end the process (G13).
pub(crate) struct Estate<K: Key, V: Value>(Vec<Remains<Live<K, V>>>);

impl<K: Key, V: Value> Estate<K, V> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Key, V: Value> Default for Estate<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Puts by what has a `Drop` of its user's. The rest may as well go at once.
impl<K: Key, V: Value> Extend<Remains<Live<K, V>>> for Estate<K, V> {
    fn extend<I: IntoIterator<Item = Remains<Live<K, V>>>>(&mut self, remains: I) {
        let has_drop = |remains: &Remains<Live<K, V>>| match remains {
            Remains::Key(_) => mem::needs_drop::<K>(),
            Remains::Value(_) => mem::needs_drop::<V>(),
        };
        self.0.extend(remains.into_iter().filter(has_drop));
    }
}

impl<K: Key, V: Value> Drop for Estate<K, V> {
    fn drop(&mut self) {
        for remains in mem::take(&mut self.0) {
            match remains {
                Remains::Key(key) => drop_contained(key),
                Remains::Value(value) => drop_contained(value),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;
    use crate::panics::hostile::Hostile;

    #[test]
    fn of_many_hostile_drops_none_keeps_the_others_from_theirs() {
        let drops = Arc::<AtomicUsize>::default();
        let mut estate = Estate::<Hostile, u8>::default();
        assert!(estate.is_empty());
        estate.extend((0..3).map(|_| Remains::Key(Hostile::new(&drops))));
        assert!(!estate.is_empty());
        drop(estate);
        assert_eq!(drops.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn what_has_no_drop_is_not_kept() {
        let mut estate = Estate::<u8, u8>::default();
        estate.extend([Remains::Key(7)]);
        assert!(estate.is_empty());
    }
}
