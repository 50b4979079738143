//! What a handle asks for each of its joins.

use std::{sync::Arc, time::Duration};

use super::Handle;
use crate::{
    config::{CallOptions, Freshness, Priority, SharedOptions},
    error::ZeroFlightDuration,
};

impl<K, V, S> Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    /// The same handle, but with joins that wait at most so long for their answer and then end in
    /// [`TimedOut`](crate::JoinError::TimedOut).
    ///
    /// Only this caller gives up: it leaves as if it had dropped its join, and the flight goes on for the others.
    /// [`tokio::time::timeout`] around a join is equally safe. The time runs from the first poll, once the join is with
    /// its shard or in its queue: a wait of zero still starts or joins the flight.
    ///
    /// The error is that of a flight's own deadline, and its `after` is the limit that was passed: it tells the two apart if
    /// they differ. Where they may be equal, use [`tokio::time::timeout`] in place of this: its
    /// [`Elapsed`](tokio::time::error::Elapsed) is the caller's own limit, and `TimedOut` then the flight's.
    ///
    /// The timer is made in the first poll, and on the runtime that polls it, so no other runtime can delay it. Outside of
    /// any runtime, or on one without timers, a thread of the crate's own keeps the time. It is started with the first such
    /// join. (Tokio tells whether a runtime has timers only by a panic, which is caught, and which the panic hook reports
    /// once per thread.) Work that is polled [in place](crate::RunWork::InPlace) is on the coalescer's runtime, and so are
    /// the timers of its joins. In the destructor of a thread-local there are no timers: a join there waits for its flight.
    ///
    /// # Default
    ///
    /// A handle from [`Coalescer::handle`](crate::Coalescer::handle) waits for as long as its flight may take.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{future::pending, time::Duration};
    ///
    /// use shardflight::{Coalescer, JoinError};
    /// use tokio::time::timeout;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), shardflight::BuildError> {
    /// let limit = Duration::from_millis(50);
    /// let handle = Coalescer::<u64, u64>::builder().max_flight_duration(limit).build()?.handle();
    /// let impatient = handle.with_max_wait(limit / 2);
    /// assert_eq!(impatient.join(8_u64, pending).await, Err(JoinError::TimedOut { after: limit / 2 }));
    ///
    /// // Where the two limits may be equal:
    /// let which = match timeout(limit, handle.join(7_u64, pending)).await {
    ///     Err(_) => "this caller has waited long enough",
    ///     Ok(Err(JoinError::TimedOut { .. })) => "the work takes too long",
    ///     Ok(answer) => panic!("{answer:?}"),
    /// };
    /// # println!("{which}");
    /// # Ok(()) }
    /// ```
    #[must_use = "the handle it is called on stays as it is"]
    pub fn with_max_wait(&self, max_wait: Duration) -> Self {
        self.with(CallOptions { max_wait: Some(max_wait), ..*self.options })
    }

    /// The same handle, but with joins that share only flights of this [`Freshness`].
    ///
    /// [`Freshness::StartedAfterCall`] is for reading one's own writes: what such a join gets was produced by work that
    /// began after the join's first poll, so it has seen all that was written before. If the key has a flight under way,
    /// the join waits for that one's work to end, and shares the next flight with all callers that came meanwhile: of a key
    /// there is at most one flight under way and one that waits, however many callers ask. Such a caller waits for up to
    /// two executions.
    ///
    /// The flight that waits counts for [`max_flights`](crate::Builder::max_flights) and has callers, a cap and a policy for
    /// abandoned work as any other; its deadline begins with its work. Joins without the option go on sharing the flight
    /// under way. [`forget`](Self::forget) detaches both. Where the flight under way goes on past its deadline
    /// ([`OnExpiry::Detach`](crate::OnExpiry::Detach)), the next begins beside it.
    ///
    /// # Default
    ///
    /// [`Freshness::WithinWindow`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::JoinError> {
    /// use shardflight::{Coalescer, Freshness};
    ///
    /// let handle = Coalescer::<String, u64>::new().handle();
    /// let fresh = handle.with_freshness(Freshness::StartedAfterCall);
    /// // … write, and then:
    /// let balance = fresh.join("account:7", || async { 42 }).await?;
    /// # assert_eq!(balance, 42);
    /// # Ok(()) }
    /// ```
    #[must_use = "the handle it is called on stays as it is"]
    pub fn with_freshness(&self, freshness: Freshness) -> Self {
        self.with(CallOptions { freshness, ..*self.options })
    }

    /// The same handle, but flights that its joins lead may take this long, in place of
    /// [`max_flight_duration`](crate::Builder::max_flight_duration).
    ///
    /// A join that follows shares a flight under its leader's limit, whatever its own handle says: to limit one caller's wait,
    /// use [`with_max_wait`](Self::with_max_wait). A limit beyond what the clock can express is none. What happens at the
    /// deadline is up to the coalescer's [`OnExpiry`](crate::OnExpiry). Such a flight costs O(log n) among those of its shard that
    /// have a limit of their own; others cost nothing more.
    ///
    /// # Errors
    ///
    /// If it is zero: every flight would be late.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let handle = shardflight::Coalescer::<String, u64>::new().handle();
    /// let reports = handle.with_max_flight_duration(Duration::from_secs(300))?;
    /// let report = reports.join("report:2026", || async { 42 }).await?;
    /// # assert_eq!(report, 42);
    /// # Ok(()) }
    /// ```
    pub fn with_max_flight_duration(&self, limit: Duration) -> Result<Self, ZeroFlightDuration> {
        if limit.is_zero() {
            return Err(ZeroFlightDuration);
        }
        Ok(self.with(CallOptions { max_flight_duration: Some(limit), ..*self.options }))
    }

    /// The same handle, but with joins whose work is called only if they lead, whatever the coalescer's
    /// [`OnStall`](crate::OnStall) is: for adapters.
    #[cfg(any(feature = "cache", feature = "redis", feature = "tower"))]
    pub(crate) fn without_takeovers(self) -> Self {
        if !self.router.engine.has_takeovers() {
            return self;
        }
        self.with(CallOptions { leaves_work: false, ..*self.options })
    }

    /// The same handle, but with joins of this class, which says what begins first where
    /// [`max_executions`](crate::Builder::max_executions) has flights wait.
    ///
    /// A flight that waits has the highest class among its live callers: it is raised when a caller of a higher class joins it, and
    /// lowered when that caller leaves. In each class, the flight that has waited longest begins first; a flight that is raised
    /// keeps its age. Every 16th to begin is the one that has waited longest of all, so no class waits for ever. When more flights
    /// wait than [`max_queued`](crate::Builder::max_queued) allows, the newest of the lowest class ends in
    /// [`Overloaded`](crate::JoinError::Overloaded): that may be the one that has just come.
    ///
    /// A change of class counts for all permits that are given back after the flight's shard has handled the join or the departure.
    /// Nearly always that is so when the join has been polled, or dropped; if another thread is using the shard at that moment, that
    /// thread handles it soon after, and a permit that is given back meanwhile goes by the class of before.
    ///
    /// Work that runs is not interrupted for other work, whatever its class. Joins that work makes are of the class of the handle
    /// that they are made with. Without `max_executions`, nothing waits, and this changes nothing.
    ///
    /// # Default
    ///
    /// [`Priority::Normal`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use shardflight::{Coalescer, Priority};
    ///
    /// let handle = Coalescer::<String, u64>::builder().max_executions(64).build()?.handle();
    /// let prefetch = handle.with_priority(Priority::Background);
    /// // A user who asks for the same while this waits doesn't wait behind other prefetches.
    /// let stock = prefetch.join("stock:7", || async { 42 }).await?;
    /// # assert_eq!(stock, 42);
    /// # Ok(()) }
    /// ```
    #[must_use = "the handle it is called on stays as it is"]
    pub fn with_priority(&self, priority: Priority) -> Self {
        // Flights of a class have a list of its callers, which is of no use where none waits.
        let priority = if self.router.engine.admission.is_some() { priority } else { Priority::default() };
        self.with(CallOptions { priority, ..*self.options })
    }

    fn with(&self, options: CallOptions) -> Self {
        Self { router: Arc::clone(&self.router), options: SharedOptions::new(options) }
    }
}
