//! A cluster's numbers.

use super::fail_open::FailOpen;

/// What this process did in the cluster: from [`Cluster::stats`](crate::redis::Cluster::stats).
///
/// Flights, not callers, are counted: each flight that has ended is in one of `led`, `followed`, `refusals` and
/// [`fail_opens`](Self::fail_opens), but those whose work was dropped. Counters are read one after the other, so they agree when no flight
/// is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterStats {
    /// Flights whose work ran under a lease.
    pub led: u64,
    /// Flights that got another flight's outcome, most of them of another process.
    pub followed: u64,
    /// Those of `led` that first followed a flight which then ended without a word: its process died, stalled or was cut off.
    pub takeovers: u64,
    /// Those of `led` whose lease was another's when their work ended, as they had stalled for longer than it lasts. Their own callers
    /// got their outcome, and no other process did.
    pub fenced_out: u64,
    /// Flights that were refused to run without a lease: [`OnUnavailable::Fail`](crate::redis::OnUnavailable::Fail).
    pub refusals: u64,
    /// Those of `led` whose value was larger than [`max_value`](crate::redis::ClusterBuilder::max_value), so that others ran their own
    /// work.
    pub too_large: u64,
    /// Those of `led` whose value could not be encoded, with the same consequence.
    pub encode_errors: u64,
    /// Those of `led` whose outcome may not have reached Redis; others then wait for the end of the lease.
    pub publish_failures: u64,
    /// Commands that were sent, renewals included.
    pub round_trips: u64,
    /// Renewals of leases of flights that take long.
    pub renewals: u64,
    /// How often the breaker opened.
    pub openings: u64,
    /// Whether the breaker is open, and Redis not asked.
    pub is_open: bool,
    /// Whether there is a connection.
    pub is_connected: bool,
    /// Leases that are held.
    pub leases: usize,
    /// Flights that ask or follow.
    pub waiting: usize,
    pub(super) fail_opens: [u64; FailOpen::ALL.len()],
}

impl ClusterStats {
    /// Flights whose work ran without a lease, for any reason.
    pub fn fail_opens(&self) -> u64 {
        self.fail_opens.iter().sum()
    }

    /// Those of the [`fail_opens`](Self::fail_opens) for this reason.
    pub fn fail_opens_by(&self, reason: FailOpen) -> u64 {
        self.fail_opens[reason as usize]
    }

    /// Outcomes that could not be decoded, as they are of another version or codec.
    pub fn decode_errors(&self) -> u64 {
        self.fail_opens_by(FailOpen::Undecodable)
    }
}
