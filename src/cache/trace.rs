//! What a cache tells tracing: under the target of the whole crate, with stable names.
//!
//! A subscriber is user code: what it panics with ends here.

use std::time::Duration;

use tracing::{debug, warn};

use super::stats::RejectReason;
use crate::unwind::catch;

const TARGET: &str = "shardflight";

pub(super) fn fill_rejected(cache: Option<&str>, reason: RejectReason) {
    let _ = catch(|| debug!(target: TARGET, cache, reason = reason.as_str(), "cache fill rejected"));
}

pub(super) fn load_failed(cache: Option<&str>) {
    let _ = catch(|| debug!(target: TARGET, cache, "cache load failed"));
}

pub(super) fn load_slow(cache: Option<&str>) {
    let _ = catch(|| debug!(target: TARGET, cache, "cache load slow"));
}

pub(super) fn backs_off(cache: Option<&str>, failures: u32, backoff: Duration) {
    let _ = catch(|| warn!(target: TARGET, cache, failures, backoff = backoff.as_secs_f64(), "cache backs off"));
}
