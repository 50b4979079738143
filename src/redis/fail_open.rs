//! Why work runs without a lease.

use std::fmt;

use crate::error::JoinError;

/// Why a flight's work ran without a lease, or would have if [`OnUnavailable::Fail`](crate::redis::OnUnavailable::Fail) didn't
/// forbid it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailOpen {
    /// Redis took longer than [`op_timeout`](crate::redis::ClusterBuilder::op_timeout), to connect or to answer.
    Timeout,
    /// Redis could not be reached, or answered with an error.
    Error,
    /// Redis had failed several times in a row, and was not asked.
    Open,
    /// The flight followed others for [`wait_at_most`](crate::redis::ClusterBuilder::wait_at_most).
    WaitLimit,
    /// The flight that it followed handed over what can't be decoded: it is of another version, of another codec or too new.
    Undecodable,
    /// The flight that it followed couldn't hand its value over: it is larger than
    /// [`max_value`](crate::redis::ClusterBuilder::max_value), or can't be encoded.
    Unshareable,
    /// The key is longer than 4 KiB.
    LongKey,
}

impl FailOpen {
    /// All reasons, in the order of their declaration.
    pub const ALL: &'static [Self] =
        &[Self::Timeout, Self::Error, Self::Open, Self::WaitLimit, Self::Undecodable, Self::Unshareable, Self::LongKey];

    /// A stable name, for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Error => "error",
            Self::Open => "open",
            Self::WaitLimit => "wait_limit",
            Self::Undecodable => "undecodable",
            Self::Unshareable => "unshareable",
            Self::LongKey => "long_key",
        }
    }

    /// The reason if a join ended because its work was refused to run without a lease, under
    /// [`OnUnavailable::Fail`](crate::redis::OnUnavailable::Fail). Such a join is
    /// [`Panicked`](JoinError::Panicked): its work did not do what it was asked for.
    ///
    /// # Examples
    ///
    /// ```
    /// use shardflight::{JoinError, redis::FailOpen};
    ///
    /// assert_eq!(FailOpen::refused(&JoinError::Closed), None);
    /// ```
    pub fn refused(error: &JoinError) -> Option<Self> {
        let JoinError::Panicked(panic) = error else { return None };
        Self::ALL.iter().copied().find(|reason| panic.message() == reason.refusal())
    }

    /// What the callers of a refused flight are told.
    pub(super) const fn refusal(self) -> &'static str {
        match self {
            Self::Timeout => "no lease, and no work without one: Redis did not answer in time",
            Self::Error => "no lease, and no work without one: Redis failed",
            Self::Open => "no lease, and no work without one: Redis has failed several times and is not asked",
            Self::WaitLimit => "no lease, and no work without one: the flight has followed others for long enough",
            Self::Undecodable => "no lease, and no work without one: the outcome of another process can't be decoded",
            Self::Unshareable => "no lease, and no work without one: another process can't hand its value over",
            Self::LongKey => "no lease, and no work without one: the key is too long",
        }
    }
}

impl fmt::Display for FailOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::CaughtPanic;

    #[test]
    fn reasons_are_in_order_of_declaration() {
        assert!(FailOpen::ALL.iter().enumerate().all(|(index, reason)| *reason as usize == index));
    }

    #[test]
    fn refusals_are_recognised() {
        for reason in FailOpen::ALL {
            let error = JoinError::Panicked(CaughtPanic::new(reason.refusal()));
            assert_eq!(FailOpen::refused(&error), Some(*reason));
        }
        assert_eq!(FailOpen::refused(&JoinError::Panicked(CaughtPanic::new("no lease"))), None);
    }
}
