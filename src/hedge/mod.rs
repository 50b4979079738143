//! Joins whose work may be called twice, the second time when the first call is slow.
//!
//! A wrapper around work: within a flight's one execution it makes one call or two, and the flight knows nothing of it.

mod budget;
mod call;
mod work;

use std::time::Duration;

pub use self::work::{HedgedCall, HedgedWork};
pub(crate) use self::{budget::HedgeBudget, work::Accounts};
use crate::{error::InvalidHedgeBudget, rollout::is_fraction};

/// When work of [`Handle::join_hedged`](crate::Handle::join_hedged) is called a second time, and how often that may be.
///
/// "Hedged requests" in *The Tail at Scale* (Dean and Barroso, 2013): a second call after the time within which 95 % of the calls
/// have ended costs 5 % more calls, and cuts off most of the slowest answers. Where a backend becomes slow as a whole, though,
/// every call would be made twice. A budget prevents that.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), shardflight::InvalidHedgeBudget> {
/// use shardflight::Hedge;
/// use std::time::Duration;
///
/// let hedge = Hedge::after(Duration::from_millis(50)).budget(0.05)?;
/// # let _ = hedge;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hedge {
    after: Duration,
    /// In millionths of a call.
    share: usize,
}

impl Hedge {
    /// How many second calls a coalescer has in reserve at most, and at its beginning.
    pub const RESERVE: usize = 10;

    /// The second call is made when the first has taken this long. Take about the 95th percentile of what calls take. Zero makes
    /// both at once, as long as the budget lasts.
    pub const fn after(after: Duration) -> Self {
        Self { after, share: budget::CALL / 10 }
    }

    /// Of all first calls, the share that may be followed by a second, from 0.0 to 1.0.
    ///
    /// All hedged joins of a coalescer have one budget: each first call puts its own share into it, each second call takes 1 out,
    /// and is not made if there is less. There are at most [`RESERVE`](Self::RESERVE) in it. So of n calls, at most
    /// `RESERVE + share * n` are made twice, exactly. One atomic keeps the account.
    ///
    /// # Default
    ///
    /// 0.1.
    ///
    /// # Errors
    ///
    /// If it isn't a fraction between 0.0 and 1.0.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of a million")]
    pub fn budget(self, share: f64) -> Result<Self, InvalidHedgeBudget> {
        if !is_fraction(share) {
            return Err(InvalidHedgeBudget { share });
        }
        Ok(Self { share: (share * budget::CALL as f64).round() as usize, ..self })
    }
}
