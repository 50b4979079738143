//! A small cache with a time to live, and without coalescing of its own.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::body::Bytes;

#[derive(Debug)]
pub(crate) struct Cache {
    time_to_live: Duration,
    entries: Mutex<HashMap<u32, Entry>>,
}

#[derive(Debug)]
struct Entry {
    page: Bytes,
    expires: Instant,
}

impl Cache {
    pub(crate) fn new(time_to_live: Duration) -> Self {
        Self { time_to_live, entries: Mutex::default() }
    }

    pub(crate) fn get(&self, post: u32) -> Option<Bytes> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.get(&post)?.expires <= Instant::now() {
            entries.remove(&post);
        }
        entries.get(&post).map(|entry| entry.page.clone())
    }

    pub(crate) fn put(&self, post: u32, page: Bytes) {
        let entry = Entry { page, expires: Instant::now() + self.time_to_live };
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).insert(post, entry);
    }
}
