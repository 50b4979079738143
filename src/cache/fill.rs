//! What a loader gives the cache.

use std::{borrow::Cow, sync::Arc, time::Duration};

/// A loaded value, and how the cache is to keep it: what the loaders of [`get_with`](crate::cache::CacheHandle::get_with) return,
/// and what [`insert`](crate::cache::CacheHandle::insert) takes.
///
/// A plain value converts into one with the cache's defaults.
///
/// # Examples
///
/// ```
/// use shardflight::cache::Fill;
/// use std::time::Duration;
///
/// let fill: Fill<String, String> =
///     Fill::new("ada".to_owned()).ttl(Duration::from_secs(5)).tag("team:3").tag(format!("user:{}", 7)).weight(3);
/// let unknown: Fill<String, String> = Fill::negative("no such user".to_owned()).ttl(Duration::from_secs(1));
/// ```
#[derive(Clone, Debug)]
#[must_use = "the cache keeps what the loader returns"]
pub struct Fill<V, E> {
    pub(super) content: FillContent<V, E>,
    pub(super) ttl: Option<Duration>,
    pub(super) weight: Option<u64>,
    pub(super) tags: Vec<Cow<'static, str>>,
}

#[derive(Clone, Debug)]
pub(super) enum FillContent<V, E> {
    Value(V),
    Uncached(V),
    Negative(E),
    NotModified,
}

impl<V, E> Fill<V, E> {
    /// A value to keep.
    pub fn new(value: V) -> Self {
        Self::of(FillContent::Value(value))
    }

    /// A value for the callers of this load alone. What the cache had for the key, it has no longer.
    pub fn uncached(value: V) -> Self {
        Self::of(FillContent::Uncached(value))
    }

    /// An error to keep: until it expires, reads of the key get it without a load. It takes the place of a value that was kept.
    ///
    /// It is kept for its [`ttl`](Self::ttl), or for the cache's [`negative_ttl`](crate::cache::CacheBuilder::negative_ttl). With
    /// neither, it is not kept.
    pub fn negative(error: E) -> Self {
        Self::of(FillContent::Negative(error))
    }

    /// The value that the loader was shown as [`Previous`] is still right: it is kept for another lifetime, under its tags and
    /// with its weight, if none are given here.
    ///
    /// Without a previous value the load panics, and its callers get
    /// [`JoinError::Panicked`](crate::JoinError::Panicked).
    pub fn not_modified() -> Self {
        Self::of(FillContent::NotModified)
    }

    /// How long it is fresh.
    ///
    /// # Default
    ///
    /// The cache's [`ttl`](crate::cache::CacheBuilder::ttl), or its
    /// [`negative_ttl`](crate::cache::CacheBuilder::negative_ttl).
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// A name under which [`invalidate_tag`](crate::cache::CacheHandle::invalidate_tag) finds it. Repeated calls add to the tags.
    pub fn tag(mut self, tag: impl Into<Cow<'static, str>>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// What it weighs, in place of what the cache's [`weigher`](crate::cache::CacheBuilder::weigher) says; at least 1. It matters
    /// only in a cache that is bounded by [`max_weight`](crate::cache::CacheBuilder::max_weight).
    pub fn weight(mut self, weight: u64) -> Self {
        self.weight = Some(weight);
        self
    }

    fn of(content: FillContent<V, E>) -> Self {
        Self { content, ttl: None, weight: None, tags: Vec::new() }
    }
}

impl<V, E> From<V> for Fill<V, E> {
    fn from(value: V) -> Self {
        Self::new(value)
    }
}

/// The value that a load is to replace, for loaders that ask whether it has changed (`If-None-Match`).
#[derive(Debug)]
pub struct Previous<V> {
    value: Arc<V>,
    age: Duration,
}

impl<V> Previous<V> {
    pub(super) fn new(value: Arc<V>, age: Duration) -> Self {
        Self { value, age }
    }

    /// The value.
    pub fn value(&self) -> &V {
        &self.value
    }

    /// How long ago it was loaded or confirmed.
    pub fn age(&self) -> Duration {
        self.age
    }
}
