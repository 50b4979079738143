//! The callers' operations.

use std::{
    fmt,
    future::poll_fn,
    hash::{BuildHasher, Hash, RandomState},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use crate::{
    config::{CallOptions, Freshness, SharedOptions},
    engine::{Drained, State},
    error::{Closed, ClosedReason, InvalidRollout, ZeroFlightDuration},
    flight::Flight,
    join::{Join, JoinShared},
    rollout,
    router::Router,
    shard::FlightSnapshot,
    stats::{Inspection, Stats},
    sync::{now, oneshot},
    task::current,
    unwind::drop_contained,
};

/// A way into a [`Coalescer`](crate::Coalescer), cheap to clone and to share.
///
/// It is as strong as the coalescer itself: the shards live for as long as either does. A clone costs one atomic
/// increment. To shut down, keep the coalescer: a handle can't.
pub struct Handle<K, V, S = RandomState>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    router: Arc<Router<K, V, S>>,
    options: SharedOptions,
}

impl<K, V, S> Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn new(router: Router<K, V, S>) -> Self {
        Self { router: Arc::new(router), options: SharedOptions::default() }
    }

    pub(crate) fn router(&self) -> &Arc<Router<K, V, S>> {
        &self.router
    }

    pub(crate) fn options(&self) -> &SharedOptions {
        &self.options
    }

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
    /// ```
    /// use std::{future::pending, time::Duration};
    ///
    /// use shardflight::{Coalescer, JoinError};
    /// use tokio::time::timeout;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), shardflight::BuildError> {
    /// let limit = Duration::from_millis(50);
    /// let handle = Coalescer::<u64, u64>::builder().max_flight_duration(limit).build()?.handle();
    /// let which = match timeout(limit, handle.join(7_u64, pending)).await {
    ///     Err(_) => "this caller has waited long enough",
    ///     Ok(Err(JoinError::TimedOut { .. })) => "the work takes too long",
    ///     Ok(answer) => panic!("{answer:?}"),
    /// };
    /// # println!("{which}");
    /// # Ok(()) }
    /// ```
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

    fn with(&self, options: CallOptions) -> Self {
        Self { router: Arc::clone(&self.router), options: SharedOptions::new(options) }
    }

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

    /// The flight that this thread runs work of, if it is one of this coalescer's: for work that asks whether it is
    /// [forgotten](Flight::is_forgotten) or [how many callers wait for it](Flight::info).
    ///
    /// Ask in the work itself: in its closure, in its future, or in blocking work. A task or a thread that the work starts
    /// is none of the flight's, but the `Flight` may be moved into it. `None` also where the work runs without a flight, as
    /// its key is [not coalesced](Self::set_rollout), and where it is being dropped unfinished.
    ///
    /// Costs a reference count, which all callers share, and takes no turn. Work that doesn't ask pays nothing for it but
    /// two moves of a pointer at each poll.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::JoinError> {
    /// let handle = shardflight::Coalescer::<String, bool>::new().handle();
    /// let inside = handle.clone();
    /// let forgotten = handle.join("user:7", move || async move {
    ///     let flight = inside.current_flight().expect("this is work of a flight");
    ///     inside.forget("user:7").await.expect("the coalescer is open");
    ///     flight.is_forgotten()
    /// });
    /// assert!(forgotten.await?);
    /// assert!(handle.current_flight().is_none(), "this is no work");
    /// # Ok(()) }
    /// ```
    pub fn current_flight(&self) -> Option<Flight> {
        let engine = &self.router.engine;
        let current = current::get().filter(|current| current.coalescer == engine.identity())?;
        let weak = Arc::downgrade(engine);
        Some(Flight::new(current.flight, current::record()?, weak))
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
    pub fn set_rollout(&self, fraction: f64) -> Result<(), InvalidRollout> {
        if !rollout::is_fraction(fraction) {
            return Err(InvalidRollout { fraction });
        }
        self.router.rollout.set_fraction(fraction);
        Ok(())
    }

    /// `false` bypasses every join from now on, of all handles; `true` goes back to the rollout's fraction. See
    /// [`set_rollout`](Self::set_rollout) for what does not hold for a bypassed join.
    pub fn set_enabled(&self, enabled: bool) {
        self.router.rollout.switch(enabled);
    }

    /// Detaches every flight under way, and says how many there were.
    ///
    /// As [`forget`](Self::forget) for each key: callers that wait still get their flight's result, joins made after
    /// this returns start anew.
    ///
    /// # Errors
    ///
    /// [`Closed`] if a shard is.
    pub async fn forget_all(&self) -> Result<usize, Closed> {
        Ok(self.router.ask_all(|state| state.shard.forget_all()).await?.into_iter().sum())
    }

    /// What the coalescer has done and is doing (G14).
    ///
    /// Each shard answers for itself, after all that was sent to it before: joins and departures that happened before
    /// `stats` was polled are in it. Asking a shard takes one turn of it, as a join does.
    ///
    /// # Errors
    ///
    /// [`Closed`] if a shard is.
    pub async fn stats(&self) -> Result<Stats, Closed> {
        Ok(Stats::sum(self.router.ask_all(State::stats).await?))
    }

    /// Sets the counters to zero, shard by shard, and leaves the gauges as they are. For rates, take the difference of
    /// two [`stats`](Self::stats) rather than reset.
    ///
    /// # Errors
    ///
    /// [`Closed`] if a shard is.
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

impl<K, V, S> Handle<K, V, S>
where
    K: Hash + Eq + Send + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Joins the key's flight, or starts one with `work`; gives a clone of the result.
    ///
    /// Lazy: before the first poll nothing happens but the key's conversion. `work` is called if this join starts the
    /// flight. Otherwise this future drops it uncalled, in its first poll, or in a later one if the shard was taken.
    /// Work runs as a task of its own on the coalescer's runtime, or as [`RunWork`](crate::RunWork) says, in a span that
    /// follows from the one that is current at the first poll.
    ///
    /// The value is cloned in the caller's own task; the last caller to take it gets it without a clone.
    ///
    /// # Keys
    ///
    /// Whatever converts into the key serves as one: a `&str` for a `String`. As several types may, the compiler doesn't infer the
    /// type of a literal from the key's, so write `7_u64` where keys are `u64`; for a plain `7` it says that `u64: From<i32>` is
    /// not satisfied. Tuples convert only as a whole, so their parts are of the key's own types: `(7_u32, "ada".to_owned())`.
    ///
    /// # Cancellation
    ///
    /// The future may be dropped at any moment: no other caller notices (G2). The policy
    /// [`OnAbandon`](crate::OnAbandon) says what happens to work without callers.
    ///
    /// # Errors
    ///
    /// The future's output is a [`JoinError`](crate::JoinError) if the work panicked or was dropped, a limit was
    /// reached, or the coalescer is closed.
    ///
    /// # Panics
    ///
    /// A panic in `work`, in the key's `Hash` or `Eq` or in the value's `Clone` does not unwind from here: it is
    /// [`JoinError::Panicked`](crate::JoinError::Panicked). Polling again after the answer panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::JoinError> {
    /// let handle = shardflight::Coalescer::<String, usize>::new().handle();
    /// let length = handle.join("shardflight", || async { "shardflight".len() }).await?;
    /// assert_eq!(length, 11);
    ///
    /// let handle = shardflight::Coalescer::<(u32, String), String>::new().handle();
    /// let greeting = handle.join((7_u32, "ada".to_owned()), || async { "hello ada".to_owned() }).await?;
    /// assert_eq!(greeting, "hello ada");
    /// # Ok(()) }
    /// ```
    pub fn join<F, Fut>(&self, key: impl Into<K>, work: F) -> Join<K, V, F, S>
    where
        V: Clone,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send + 'static,
    {
        Join::new(Arc::clone(&self.router), self.options.clone(), key.into(), work)
    }

    /// [`join`](Self::join) for values that can't or needn't be cloned: all callers share one `Arc`.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    pub fn join_shared<F, Fut>(&self, key: impl Into<K>, work: F) -> JoinShared<K, V, F, S>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send + 'static,
    {
        JoinShared::new(Arc::clone(&self.router), self.options.clone(), key.into(), work)
    }

    /// Detaches the key's flight: callers that wait for it still get its result, a join made after this returns starts
    /// anew (G9). Says whether there was one.
    ///
    /// For use after a write: what was read before it may be old. The detached work goes on: if it stores what it has read, it
    /// has to ask whether it [is forgotten](Flight::is_forgotten), see [a cache in front](crate#a-cache-in-front).
    ///
    /// # Cancellation
    ///
    /// Takes effect even if its future is dropped after its first poll, except under a smaller [`Scope`](crate::Scope)
    /// than the process: its domains are asked one after the other.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the key's shard is.
    ///
    /// # Panics
    ///
    /// If the key's `Hash` or `Eq` does; no other caller notices.
    pub async fn forget(&self, key: impl Into<K>) -> Result<bool, Closed> {
        let mut key = key.into();
        let hash = match self.router.hash(&key) {
            Ok(hash) => hash,
            Err(panic) => {
                // Before ours: of two panics at once, the second would end the process.
                drop_contained(key);
                panic!("hashing a key to forget {panic}");
            }
        };
        let mut was_live = false;
        // One domain after the other, as there is but one key to compare with.
        for shard in self.router.shards_of(hash) {
            let asked = self.router.engine.ask(shard, key, move |state, key| state.shard.forget(hash, key));
            let (returned, forgotten) = asked.answer().await?;
            key = returned.into_inner();
            match forgotten {
                Ok(live) => was_live |= live,
                Err(panic) => {
                    drop_contained(key);
                    panic!("comparing a key to forget {panic}");
                }
            }
        }
        drop_contained(key);
        Ok(was_live)
    }
}

impl<K, V, S> Clone for Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn clone(&self) -> Self {
        Self { router: Arc::clone(&self.router), options: self.options.clone() }
    }
}

impl<K, V, S> fmt::Debug for Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("shards", &self.router.engine.shards())
            .field("max_wait", &self.options.max_wait)
            .field("max_flight_duration", &self.options.max_flight_duration)
            .field("freshness", &self.options.freshness)
            .finish_non_exhaustive()
    }
}
