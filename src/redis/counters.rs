//! What a node counts.

use super::fail_open::FailOpen;
use crate::counter::Counter;

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) led: Counter,
    pub(super) followed: Counter,
    pub(super) takeovers: Counter,
    pub(super) fenced_out: Counter,
    /// By reason.
    pub(super) fail_opens: [Counter; FailOpen::ALL.len()],
    pub(super) refusals: Counter,
    pub(super) too_large: Counter,
    pub(super) encode_errors: Counter,
    pub(super) publish_failures: Counter,
    pub(super) round_trips: Counter,
    pub(super) renewals: Counter,
    pub(super) openings: Counter,
}
