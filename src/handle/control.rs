//! Questions and orders to the whole coalescer.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use super::Handle;
use crate::{
    engine::{Drained, State},
    error::{Closed, ClosedReason, InvalidRollout},
    rollout,
    shard::FlightSnapshot,
    stats::{Inspection, Stats},
    sync::{now, oneshot},
    task::current,
};

impl<K, V, S> Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    /// Why joins end in [`Closed`](crate::JoinError::Closed); `None` while they don't.
    ///
    /// Answered at once, at the price of a look at each shard's actor. A shutdown counts from the first poll of
    /// [`Coalescer::shutdown`](crate::Coalescer::shutdown). A runtime that shuts down ends its tasks one after the other: the
    /// answer may be `None` when work is [`Aborted`](crate::JoinError::Aborted) already, and is `Some` when a join is
    /// answered `Closed`.
    ///
    /// # Examples
    ///
    /// ```
    /// use shardflight::{ClosedReason, Coalescer};
    /// use tokio::runtime::Runtime;
    ///
    /// let runtime = Runtime::new().unwrap();
    /// let handle = Coalescer::<u64, u64>::builder().build_on(runtime.handle()).unwrap().handle();
    /// assert_eq!(handle.closed_reason(), None);
    /// drop(runtime);
    /// assert_eq!(handle.closed_reason(), Some(ClosedReason::RuntimeEnded));
    /// ```
    pub fn closed_reason(&self) -> Option<ClosedReason> {
        self.router.closed_reason()
    }

    /// How long a flight may take that a join of this handle leads now: the handle's own
    /// [limit](Self::with_max_flight_duration), or else one that is learned (`Builder::adaptive_flight_duration`, with the feature
    /// `adaptive`), or else the coalescer's [`max_flight_duration`](crate::Builder::max_flight_duration). `None` if it may take as
    /// long as it likes.
    ///
    /// Answered at once, and by no shard.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let handle = shardflight::Coalescer::<u64, u64>::new().handle();
    /// assert_eq!(handle.flight_duration_limit(), Some(Duration::from_secs(30)));
    /// let reports = handle.with_max_flight_duration(Duration::from_secs(300))?;
    /// assert_eq!(reports.flight_duration_limit(), Some(Duration::from_secs(300)));
    /// # Ok(()) }
    /// ```
    pub fn flight_duration_limit(&self) -> Option<Duration> {
        let learned = || self.router.engine.learned_limit(now());
        self.options.max_flight_duration.or_else(learned).or(self.router.max_flight_duration)
    }

    /// Coalesces this fraction of the keys from now on, for all handles of the coalescer. Joins of the other keys run
    /// their own work in their caller's task, count as [`bypasses`](Stats::bypasses) and touch no shard.
    ///
    /// A bypassed join has no flight: no cap, no `max_flight_duration` and no re-entrancy check holds for it. It runs
    /// in its caller's task, on its caller's runtime, and ends when its caller is dropped. The caller's own
    /// [`max_wait`](Self::with_max_wait) holds, and a panic is [`Panicked`](crate::JoinError::Panicked) as ever.
    ///
    /// The key's hash decides, so a key is wholly in or wholly out, and one that is in stays in while the fraction
    /// grows. Flights under way go on. To have several processes choose the same keys, give their builders the same
    /// [`hasher`](crate::Builder::hasher).
    ///
    /// # Errors
    ///
    /// If it isn't between 0.0 and 1.0; the fraction then stays what it was.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let handle = shardflight::Coalescer::<u64, u64>::builder().rollout(0.01).build()?.handle();
    /// handle.set_rollout(0.1)?; // a tenth of the keys, the first hundredth among them
    /// assert!(handle.set_rollout(10.0).is_err());
    /// # Ok(()) }
    /// ```
    pub fn set_rollout(&self, fraction: f64) -> Result<(), InvalidRollout> {
        if !rollout::is_fraction(fraction) {
            return Err(InvalidRollout { fraction });
        }
        self.router.rollout.set_fraction(fraction);
        Ok(())
    }

    /// `false` bypasses every join from now on, of all handles; `true` goes back to the rollout's fraction. See
    /// [`set_rollout`](Self::set_rollout) for what does not hold for a bypassed join.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let handle = shardflight::Coalescer::<u64, u64>::new().handle();
    /// handle.set_enabled(false);
    /// handle.join(7_u64, || async { 7 }).await?; // runs its own work, in this task
    /// assert_eq!(handle.stats().await?.bypasses, 1);
    /// # Ok(()) }
    /// ```
    pub fn set_enabled(&self, enabled: bool) {
        self.router.rollout.switch(enabled);
    }

    /// What the coalescer has done and is doing (G14).
    ///
    /// Each shard answers for itself, after all that was sent to it before: joins and departures that happened before
    /// `stats` was polled are in it. Asking a shard takes one turn of it, as a join does.
    ///
    /// # Errors
    ///
    /// [`Closed`] if a shard is.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let handle = shardflight::Coalescer::<u64, u64>::new().handle();
    /// let (one, other) = tokio::join!(handle.join(7_u64, || async { 7 }), handle.join(7_u64, || async { 7 }));
    /// assert_eq!(one, other);
    /// let stats = handle.stats().await?;
    /// assert_eq!((stats.joins, stats.executions, stats.coalesced), (2, 1, 1));
    /// println!("{stats}"); // joins: 2 = 1 executed + 1 coalesced (50.0 %) + …
    /// # Ok(()) }
    /// ```
    pub async fn stats(&self) -> Result<Stats, Closed> {
        Ok(Stats::sum(self.router.ask_all(State::stats).await?))
    }

    /// Sets the counters to zero, shard by shard, and leaves the gauges as they are. For rates, take the difference of
    /// two [`stats`](Self::stats) rather than reset.
    ///
    /// # Errors
    ///
    /// [`Closed`] if a shard is.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let handle = shardflight::Coalescer::<u64, u64>::new().handle();
    /// handle.join(7_u64, || async { 7 }).await?;
    /// handle.reset_stats().await?;
    /// assert_eq!(handle.stats().await?.joins, 0);
    /// # Ok(()) }
    /// ```
    pub async fn reset_stats(&self) -> Result<(), Closed> {
        self.router.ask_all(State::reset_stats).await.map(drop)
    }

    /// The `most` flights with the most waiters and the `most` oldest: where to look when something hangs.
    ///
    /// Detached flights are among them. Each shard iterates over all its flights for this, and its joins wait in its
    /// queue meanwhile: for debugging, not for scraping.
    ///
    /// # Errors
    ///
    /// [`Closed`] if a shard is.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use shardflight::Coalescer;
    ///
    /// let coalescer = Coalescer::<u64, u64>::builder().describe(|order| format!("order {order}")).build()?;
    /// let handle = coalescer.handle();
    /// let waiting = tokio::spawn(async move { handle.join(7_u64, std::future::pending).await });
    /// tokio::task::yield_now().await;
    ///
    /// let inspection = coalescer.inspect(10).await?;
    /// assert_eq!(inspection.oldest[0].description.as_deref(), Some("order 7"));
    /// # let shards = shardflight::Builder::<u64, u64>::MAX_SHARDS as u64;
    /// # assert_eq!(inspection.oldest[0].flight % shards, inspection.oldest[0].shard as u64);
    /// # waiting.abort();
    /// # Ok(()) }
    /// ```
    pub async fn inspect(&self, most: usize) -> Result<Inspection, Closed> {
        let shards = self.router.ask_all(move |state| state.shard.inspect(most, now())).await?;
        let (crowded, oldest): (Vec<Vec<FlightSnapshot>>, Vec<Vec<FlightSnapshot>>) = shards.into_iter().unzip();
        Ok(Inspection::new(crowded.concat(), oldest.concat(), most))
    }

    pub(crate) async fn drain(&self, within: Duration) -> Drained {
        self.router.close();
        let deadline = now().checked_add(within);
        let engine = &self.router.engine;
        let ask = |shard| {
            let (reply, drained) = oneshot::async_channel();
            (engine.ask(shard, (), move |state, ()| state.drain(deadline, reply)), drained)
        };
        let asked: Vec<_> = (0..engine.shards()).map(ask).collect();
        let mut drained = pin!(async {
            let mut sum = Drained::default();
            for (_, drained) in asked {
                // A shard that is closed already has nothing left to finish or to cut.
                let Drained { finished, cut } = drained.await.unwrap_or_default();
                sum.finished += finished;
                sum.cut += cut;
            }
            sum
        });
        // Asked at each poll: a future that was polled elsewhere first may be the work's by now.
        let is_own_work = || current::get().is_some_and(|current| current.coalescer == engine.identity());
        poll_fn(|cx| match drained.as_mut().poll(cx) {
            Poll::Pending if is_own_work() => Poll::Ready(Drained::default()),
            polled => polled,
        })
        .await
    }
}
