//! A cluster's validated options.

use std::time::Duration;

use super::lease::Rules;

#[derive(Debug)]
pub(super) struct Config {
    pub(super) namespace: String,
    pub(super) rules: Rules,
    pub(super) op_timeout: Duration,
    pub(super) max_value: usize,
    pub(super) inline: usize,
    pub(super) version: u32,
    pub(super) on_unavailable: OnUnavailable,
}

/// What happens to work when its flight can't get a lease, as Redis fails or is slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnUnavailable {
    /// It runs without one, coalesced within its process as ever. Redis can then cost executions, but no answers.
    #[default]
    RunLocally,
    /// It doesn't run. Its callers get [`Panicked`](crate::JoinError::Panicked), of which [`FailOpen::refused`](crate::redis::FailOpen::refused)
    /// tells the reason. For work that must have a [fencing token](crate::redis::Fence), and for backends that a hundred replicas
    /// at once would bring down.
    Fail,
}
