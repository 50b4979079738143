//! The last good page of each key, for when there is no other.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{failure::Failure, page::Page};

const PAGES_MAX: usize = 10_000;

/// In a service, `shardflight::cache` with `stale_if_error` does this, and knows invalidation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fallback(Arc<Mutex<HashMap<u32, Arc<str>>>>);

impl Fallback {
    pub(crate) fn apply(&self, key: u32, result: Result<Page, Failure>) -> Result<Page, Failure> {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(page) => {
                if pages.len() < PAGES_MAX {
                    pages.insert(key, Arc::clone(&page.text));
                }
                Ok(page)
            }
            Err(failure) => {
                let text = pages.get(&key).ok_or(failure)?;
                Ok(Page { text: Arc::clone(text), is_stale: true })
            }
        }
    }
}
