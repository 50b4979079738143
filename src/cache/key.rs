//! The key of a read.

use std::{borrow::Borrow, hash::Hash};

use crate::unwind::Contained;

/// A key that is owned, or one that is borrowed until a load needs it.
pub(super) trait ReadKey<K: Borrow<Self::Borrowed>> {
    type Borrowed: Hash + Eq + ?Sized;

    fn borrowed(&self) -> &Self::Borrowed;

    fn into_owned(self) -> K;
}

impl<K: Hash + Eq> ReadKey<K> for Contained<K> {
    type Borrowed = K;

    fn borrowed(&self) -> &K {
        self.get()
    }

    fn into_owned(self) -> K {
        self.into_inner()
    }
}

/// Spares a hit the conversion into an owned key.
pub(super) struct ByRef<'a, Q: ?Sized>(pub(super) &'a Q);

impl<K, Q> ReadKey<K> for ByRef<'_, Q>
where
    K: Borrow<Q>,
    Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
{
    type Borrowed = Q;

    fn borrowed(&self) -> &Q {
        self.0
    }

    fn into_owned(self) -> K {
        self.0.to_owned()
    }
}
