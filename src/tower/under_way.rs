//! Finds the header that keeps otherwise equal requests apart, for a debug event.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use http::HeaderName;

use super::{key::Key, key_headers::Field};
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
            let apart = header_apart(&entries, key).cloned();
            if entries.len() == CAPACITY {
                entries.pop_front();
            }
            entries.push_back(Entry { key: key.clone(), request: Arc::downgrade(&request) });
            apart
        };
        if let Some(header) = apart {
            trace::kept_apart(header.as_str());
        }
        Some(request)
    }
}

/// The header that keeps `key` from the latest request that it could otherwise have followed. `None` if it follows one.
fn header_apart<'a>(entries: &'a VecDeque<Entry>, key: &'a Key) -> Option<&'a HeaderName> {
    let mut similar =
        entries.iter().rev().filter(|entry| entry.key.parts().differs_at_most_in_headers(key.parts())).peekable();
    let latest = similar.peek()?;
    let apart = first_difference(&latest.key.parts().headers, &key.parts().headers)?;
    similar.all(|entry| entry.key.parts().headers != key.parts().headers).then_some(apart)
}

/// The first name, in the order of both, whose values differ.
fn first_difference<'a>(ours: &'a [Field], theirs: &'a [Field]) -> Option<&'a HeaderName> {
    let index = ours.iter().zip(theirs).take_while(|(one, other)| one == other).count();
    let names = [ours.get(index), theirs.get(index)].into_iter().flatten().map(|(name, _)| name);
    // Both are sorted: the smaller name is missing on the other side.
    names.min_by(|one, other| one.as_str().cmp(other.as_str()))
}
