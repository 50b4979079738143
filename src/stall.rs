//! What happens to flights whose work takes suspiciously long.

use std::time::Duration;

use crate::{config::RunWork, error::BuildError};

/// What happens to a flight whose work takes suspiciously long: see [`Builder::on_stall`](crate::Builder::on_stall).
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use shardflight::{Coalescer, OnStall};
/// use std::{future::pending, time::Duration};
///
/// let handle = Coalescer::<u64, &'static str>::builder()
///     .on_stall(OnStall::Takeover { after: Duration::from_millis(200), at_most: 1 })
///     .build()?
///     .handle();
/// // A connection that hangs, and one that doesn't.
/// let leader = handle.join(7_u64, pending);
/// let follower = handle.join(7_u64, || async { "seven" });
/// let (first, second) = tokio::join!(leader, follower);
/// assert_eq!((first?, second?), ("seven", "seven"));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnStall {
    /// Its callers wait until it ends, or until its deadline. A follower's closure is never called.
    #[default]
    Wait,
    /// While the work goes on, the flight gets another execution: the **closure of a follower** is called. The first answer, a value
    /// or an error of the work's own, is the flight's; all callers stay with their flight and get that answer. The result
    /// of any other execution changes nothing: it is dropped at its next await point, and a thread that it blocks ends by itself,
    /// unobserved.
    ///
    /// Choose it only where **work may run twice at the same time**: reads, and writes that are idempotent. G1 then reads: one
    /// execution per flight, and up to `at_most` more if it stalls.
    ///
    /// - If no follower has come after that time, the first that comes takes over at once.
    /// - The first `at_most` followers leave their closures, boxed, which are dropped with the flight. A follower that leaves
    ///   doesn't take its closure back: it may be called afterwards, as a leader's may.
    /// - A panic is the flight's outcome only if no other execution of it is running; otherwise the flight goes on. A panic starts
    ///   no execution: this is about work that doesn't end, and no retry.
    /// - When a flight is cut short (deadline, [`OnAbandon::Abort`](crate::OnAbandon::Abort), shutdown, end of the runtime), so are
    ///   all of its executions. One that was [forgotten](crate::Handle::forget) may still be taken over, as it still has callers.
    /// - [`max_flights`](crate::Builder::max_flights) counts a flight as one execution, and not what it leaves behind when it has
    ///   been answered. [`Stats::executions`](crate::Stats::executions) counts one per flight,
    ///   [`Stats::takeovers`](crate::Stats::takeovers) the others.
    /// - The key's next flight begins when this one has its answer, also under
    ///   [`StartedAfterCall`](crate::Freshness::StartedAfterCall): what still runs of this one may end after it.
    /// - Callers of this crate's caches, clusters and HTTP layers leave no closures, so their flights are not taken over.
    ///
    /// Executions are tasks of their own, or threads of the blocking pool for [`blocking_join`](crate::Handle::blocking_join), so
    /// one that blocks its thread holds up no other, unless all threads of the runtime are blocked: on a runtime of the flavor
    /// `current_thread`, only work that awaits, and blocking work, can be taken over. Each is inside its flight's span, finds its
    /// flight by [`current_flight`](crate::Handle::current_flight), and is told of cycles.
    ///
    /// Each flight costs a second task and several allocations more; each follower that leaves its closure, one or two.
    Takeover {
        /// How long the flight's work may take, and after that each further execution, before the flight gets another. Counted
        /// from the moment when the runtime is given the work.
        after: Duration,
        /// How many more executions a flight may have, from 1 to [`MAX_TAKEOVERS`](Self::MAX_TAKEOVERS).
        at_most: usize,
    },
}

impl OnStall {
    /// The largest `at_most` of a [`Takeover`](Self::Takeover).
    pub const MAX_TAKEOVERS: usize = 16;

    pub(crate) fn check(self, max_flight_duration: Option<Duration>, run_work: RunWork) -> Result<(), BuildError> {
        let Self::Takeover { after, at_most } = self else { return Ok(()) };
        if after.is_zero() {
            return Err(BuildError::ZeroTakeoverAfter);
        }
        let limit = Self::MAX_TAKEOVERS;
        if !(1..=limit).contains(&at_most) {
            return Err(BuildError::InvalidTakeovers { at_most, limit });
        }
        match max_flight_duration {
            Some(limit) if after >= limit => Err(BuildError::TakeoverPastDeadline { after, limit }),
            _ if run_work == RunWork::InPlace => Err(BuildError::TakeoverInPlace),
            _ => Ok(()),
        }
    }

    /// After which time a flight gets another execution, if it does.
    pub(crate) fn takeover_after(self) -> Option<Duration> {
        match self {
            Self::Wait => None,
            Self::Takeover { after, .. } => Some(after),
        }
    }

    /// How many more executions a flight may have.
    pub(crate) fn takeovers(self) -> usize {
        match self {
            Self::Wait => 0,
            Self::Takeover { at_most, .. } => at_most,
        }
    }
}
