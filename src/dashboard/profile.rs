//! The builder's option for what a page shows beyond counters and gauges.

use crate::{builder::Builder, error::BuildError};

impl<K, V, S> Builder<K, V, S> {
    /// The most hot keys that [`profile`](Self::profile) takes.
    pub const MAX_HOT_KEYS: usize = 1_000;

    /// Counts, for a [`Dashboard`](crate::dashboard::Dashboard), the keys that save most calls, how long flights take, and why
    /// joins are refused. Each shard has places for this many hot keys; 64 will do.
    ///
    /// A key is named as [`describe`](Self::describe) says, and has no name without it. Names are cut to 200 bytes.
    ///
    /// A key counts when a flight of it ends, by the callers that joined behind the leader, so a follower costs nothing, and a
    /// flight costs a clock read and a search among the shard's hot keys. A count is that of the last one to two minutes. It has an
    /// error, which is 0 where a shard has no more keys with followers than places, and never more than what all of the shard's
    /// keys have saved, divided by the places, for each of the two minutes (Space-Saving).
    ///
    /// # Default
    ///
    /// Nothing of this is counted; a page then shows the rest.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) fails if it is 0 or more than [`MAX_HOT_KEYS`](Self::MAX_HOT_KEYS).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::BuildError> {
    /// use shardflight::Coalescer;
    ///
    /// let orders = Coalescer::<u64, String>::builder().describe(|id| format!("order {id}")).profile(64).build()?;
    /// # Ok(()) }
    /// ```
    pub fn profile(mut self, hot_keys: usize) -> Self {
        self.config.hot_keys = Some(hot_keys);
        self
    }
}

pub(crate) fn check_hot_keys(hot_keys: Option<usize>) -> Result<(), BuildError> {
    let limit = Builder::<(), ()>::MAX_HOT_KEYS;
    match hot_keys {
        Some(hot_keys) if !(1..=limit).contains(&hot_keys) => Err(BuildError::InvalidHotKeys { hot_keys, limit }),
        _ => Ok(()),
    }
}
