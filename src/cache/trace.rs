//! What a cache tells tracing: under the target of the whole crate, with stable names.
//!
//! A subscriber is user code: what it panics with ends here.

use std::time::Duration;

use tracing::{debug, warn};

use crate::unwind::catch;

const TARGET: &str = "shardflight";

/// Why a loaded value isn't kept.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rejected {
    Invalidated,
    NotKept,
}

impl Rejected {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Invalidated => "invalidated",
            Self::NotKept => "replaced, removed or too heavy",
        }
    }
}

pub(super) fn fill_rejected(reason: Rejected) {
    let _ = catch(|| debug!(target: TARGET, reason = reason.as_str(), "cache fill rejected"));
}

pub(super) fn load_failed() {
    let _ = catch(|| debug!(target: TARGET, "cache load failed"));
}

pub(super) fn backs_off(failures: u32, backoff: Duration) {
    let _ = catch(|| warn!(target: TARGET, failures, backoff = backoff.as_secs_f64(), "cache backs off"));
}
