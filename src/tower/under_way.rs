//! Finds the header that keeps otherwise equal requests apart, for a debug event.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::{key::Key, key_bytes::Fields};
use crate::trace;

/// How many requests a layer remembers.
const CAPACITY: usize = 64;

/// The latest requests under way with their keys, while the event is enabled. Otherwise empty.
#[derive(Debug, Default)]
pub(super) struct UnderWay(Mutex<VecDeque<Entry>>);

#[derive(Debug)]
struct Entry {
    key: Key,
    request: Weak<()>,
}

impl UnderWay {
    /// The request is under way until the result is dropped.
    pub(super) fn enter(&self, key: &Key) -> Option<Arc<()>> {
        // Without a subscriber, that is known at the price of a load.
        if !trace::hears_of_flights() {
            return None;
        }
        let request = Arc::new(());
        let apart = {
            // No user code under the lock: a key has none, and the subscriber is called after it.
            let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            entries.retain(|entry| entry.request.strong_count() > 0);
            let apart = header_apart(&entries, key).map(|name| String::from_utf8_lossy(name).into_owned());
            if entries.len() == CAPACITY {
                entries.pop_front();
            }
            entries.push_back(Entry { key: key.clone(), request: Arc::downgrade(&request) });
            apart
        };
        if let Some(header) = apart {
            trace::kept_apart(&header);
        }
        Some(request)
    }
}

/// The header that keeps `key` from the latest request that it could otherwise have followed. `None` if it follows one.
fn header_apart<'a>(entries: &'a VecDeque<Entry>, key: &'a Key) -> Option<&'a [u8]> {
    let mut similar = entries.iter().rev().filter(|entry| entry.key.differs_at_most_in_headers(key)).peekable();
    let latest = similar.peek()?;
    let apart = first_difference(latest.key.headers(), key.headers())?;
    similar.all(|entry| entry.key.headers() != key.headers()).then_some(apart)
}

/// The first name, in the order of both, whose values differ.
fn first_difference<'a>(mut ours: Fields<'a>, mut theirs: Fields<'a>) -> Option<&'a [u8]> {
    loop {
        let (one, other) = (ours.next(), theirs.next());
        if one != other {
            // Both are sorted: the smaller name is missing on the other side.
            return [one, other].into_iter().flatten().map(|(name, _)| name).min();
        }
        one?;
    }
}
