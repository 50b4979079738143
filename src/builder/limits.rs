//! How many callers, flights and executions there may be, and for how long.

use std::time::Duration;

use super::Builder;

impl<K, V, S> Builder<K, V, S> {
    /// The most live callers that a flight may have, its leader included; one more gets
    /// [`TooManyWaiters`](crate::JoinError::TooManyWaiters) at once (G7).
    ///
    /// Exact: a caller that leaves frees its place at once, and a refusal costs no look at the flight's other callers.
    ///
    /// # Default
    ///
    /// 1,000,000.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses 0.
    pub fn max_waiters_per_flight(mut self, limit: usize) -> Self {
        self.config.max_waiters_per_flight = limit;
        self
    }

    /// The most executions that may be under way in the whole coalescer; a join that would start one more gets
    /// [`TooManyFlights`](crate::JoinError::TooManyFlights) at once (G7).
    ///
    /// An execution counts until its work has ended and is dropped: forgotten and abandoned flights do, and so does work
    /// that outlives its flight ([`Stats::lingering`](crate::Stats::lingering)), as it still holds its thread or its
    /// connection. Exact over all shards, at the price of one shared count that starting and ending an execution touch.
    /// Followers don't.
    ///
    /// # Default
    ///
    /// 1,000,000.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses 0.
    pub fn max_flights(mut self, limit: usize) -> Self {
        self.config.max_flights = limit;
        self
    }

    /// The most executions that run at a time, in the whole coalescer. Flights beyond that wait, in the order of their
    /// [`Priority`](crate::Priority), and can be joined meanwhile: what a limit inside the work would hold up, callers share.
    ///
    /// Exact over all shards, but for what is said of waits below. An execution counts from the grant of its permit until its work is
    /// gone, or told to be lost with its runtime: however it ends, and whether or not its flight is over by then. A flight whose last
    /// caller leaves before it has a permit never runs, whatever [`OnAbandon`](crate::OnAbandon) says; this holds also for one that
    /// waits for another execution of its key. The time in the queue counts for
    /// [`max_flight_duration`](Self::max_flight_duration), as callers wait for that long. A flight that is detached or forgotten
    /// keeps its place. A shutdown counts flights that wait as flights under way, and answers them with `Closed` at its end.
    ///
    /// Joins that are not coalesced, as the [rollout](Self::rollout) leaves them out, run without a permit: to turn coalescing off turns
    /// the limit off, too.
    ///
    /// A further execution of a flight ([`OnStall::Takeover`](crate::OnStall), or a [`Hedge`](crate::Hedge)'s) needs a permit of its
    /// own, and is left out if none is free.
    ///
    /// # Work that waits for other flights
    ///
    /// Work that joins a key of the same coalescer has a permit, which it doesn't need while it waits. If the flight that it waits
    /// for is in the queue, that flight begins at once under this permit: otherwise all permits could be with work that waits for
    /// the queue. A flight lends one permit at a time, however many executions it has, and what runs under a lent permit may lend it on. So `limit` is the
    /// most executions that run and don't wait for one that has their permit. Work that stops waiting, as in a `select!`, goes on
    /// at once, beside the flight that has its permit; the next permit that becomes free makes up for it. So there is one execution
    /// too many for each such wait whose flight still runs.
    ///
    /// That holds for joins that are polled by the work's own task or thread. Work that waits for a task of its own which joins,
    /// or for a flight of another coalescer whose work joins this one, holds its permit meanwhile. If all permits are held so,
    /// only [`queue_timeout`](Self::queue_timeout), or the flights' deadline, ends that.
    ///
    /// # Cost
    ///
    /// Without a limit, none. With one, a step on a count that all shards share for the start and the end of each execution;
    /// followers don't touch it. A flight that has to wait costs an entry in the queue and a task of its own, and its start a wake-up
    /// by another thread. All work runs as a task, also under [`RunWork::InPlace`](crate::RunWork::InPlace): a leader that polled its own
    /// work and then no more would keep a permit for which other keys wait. Blocking work waits before it takes a thread of the pool.
    ///
    /// # Default
    ///
    /// Not set: each execution runs at once.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let coalescer = shardflight::Coalescer::<u64, u64>::builder()
    ///     .max_executions(2)
    ///     .max_queued(100)
    ///     .queue_timeout(Duration::from_secs(1))
    ///     .build()?;
    /// let handle = coalescer.handle();
    /// let load = |key| handle.join(key, move || async move { key * key });
    /// let (a, b, c) = tokio::join!(load(1_u64), load(2_u64), load(3_u64));
    /// assert_eq!(a? + b? + c?, 14);
    /// # Ok(()) }
    /// ```
    pub fn max_executions(mut self, limit: usize) -> Self {
        self.config.max_executions = Some(limit);
        self
    }

    /// The most flights that wait for a permit of [`max_executions`](Self::max_executions). Of one more, the newest of the lowest
    /// [`Priority`](crate::Priority) ends in [`Overloaded`](crate::JoinError::Overloaded), which may be the one that has just come.
    ///
    /// # Default
    ///
    /// 10,000.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses 0, and this option without [`max_executions`](Self::max_executions).
    pub fn max_queued(mut self, limit: usize) -> Self {
        self.config.max_queued = Some(limit);
        self
    }

    /// How long a flight waits for a permit of [`max_executions`](Self::max_executions) at most, before it ends in
    /// [`QueueTimedOut`](crate::JoinError::QueueTimedOut).
    ///
    /// # Default
    ///
    /// Not set: it waits for as long as it may take.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses zero, and this option without [`max_executions`](Self::max_executions).
    pub fn queue_timeout(mut self, limit: Duration) -> Self {
        self.config.queue_timeout = Some(limit);
        self
    }

    /// How long a flight may take (G11); what then happens is [`on_expiry`](Self::on_expiry)'s to say: by default its
    /// callers get [`TimedOut`](crate::JoinError::TimedOut) and its work is dropped, though a thread that it blocks
    /// runs on.
    ///
    /// Counted from the join that starts the flight, its time in the queue of [`max_executions`](Self::max_executions) included. A
    /// flight that waits for another execution of its key, as under
    /// [`StartedAfterCall`](crate::Freshness::StartedAfterCall) or after an abort, has its limit from the end of that wait on, so
    /// its callers may wait for longer; [`with_max_wait`](crate::Handle::with_max_wait) bounds a caller's wait in any case. One timer per shard serves all flights, so there is neither a
    /// sweeper task nor a cleanup interval to set. Joins and questions such as [`stats`](crate::Handle::stats) look at the time,
    /// too: they end what is due in their shard, even where the timer is late. The timer is late where its worker has
    /// taken it and is then blocked by another task: without a join or a question meanwhile, at most for as long as that
    /// task blocks.
    ///
    /// # Default
    ///
    /// 30 seconds.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses zero.
    pub fn max_flight_duration(mut self, limit: Duration) -> Self {
        self.config.max_flight_duration = Some(limit);
        self
    }

    /// How long a flight may take in all if its work, which makes progress, asks for more time with
    /// [`Flight::extend`](crate::Flight::extend). Counted as [`max_flight_duration`](Self::max_flight_duration) is, which is what
    /// a flight has whose work does not ask.
    ///
    /// # Default
    ///
    /// Not set: no work gets more time.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses less than [`max_flight_duration`](Self::max_flight_duration).
    ///
    /// # Examples
    ///
    /// Work that stands still for five seconds is over; work that goes on may take an hour:
    ///
    /// ```
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::BuildError> {
    /// let coalescer = shardflight::Coalescer::<String, u64>::builder()
    ///     .max_flight_duration(Duration::from_secs(5))
    ///     .max_extended_duration(Duration::from_secs(3600))
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn max_extended_duration(mut self, limit: Duration) -> Self {
        self.config.max_extended_duration = Some(limit);
        self
    }

    /// Lets flights take as long as they like. Work that never ends then holds its key and its callers for ever.
    pub fn no_flight_deadline(mut self) -> Self {
        self.config.max_flight_duration = None;
        self
    }
}
