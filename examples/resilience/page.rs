//! What is asked for.

use std::sync::Arc;

use shardflight::Handle;

use crate::failure::Failure;

pub(crate) type Pages = Handle<u32, Result<Page, Failure>>;

#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) text: Arc<str>,
    /// From the fallback, not from the backend.
    pub(crate) is_stale: bool,
}

impl Page {
    pub(crate) fn fresh(text: String) -> Self {
        Self { text: text.into(), is_stale: false }
    }
}
