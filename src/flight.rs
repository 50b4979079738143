//! A flight, as its own work sees it.

use std::{fmt, sync::Weak, time::Duration};

use crate::{
    engine::AnyEngine,
    error::{Closed, NotExtended},
    join::{block_on, refuse_async_code},
    shard::FlightRef,
    stats::FlightInfo,
    task::current::AnyRecord,
};

/// The flight that some work runs for: [`Handle::current_flight`](crate::Handle::current_flight).
///
/// It may be cloned, moved to other threads and kept: it keeps neither the coalescer nor the flight's result alive.
#[derive(Clone)]
pub struct Flight {
    itself: FlightRef,
    record: Weak<dyn AnyRecord>,
    engine: Weak<dyn AnyEngine>,
}

impl Flight {
    pub(crate) fn new(itself: FlightRef, record: Weak<dyn AnyRecord>, engine: Weak<dyn AnyEngine>) -> Self {
        Self { itself, record, engine }
    }

    /// Whether joins find this flight no longer, so that another of its key may run beside it or has run since.
    ///
    /// Work that stores its result, for instance in a cache, should not do so any more if this is `true`: see
    /// [a cache in front](crate#a-cache-in-front).
    ///
    /// It is `true`
    ///
    /// - from the moment when [`forget`](crate::Handle::forget) or [`forget_all`](crate::Handle::forget_all) has returned
    ///   that detached the flight;
    /// - past its deadline, as soon as a join, a question or a `forget` has reached its shard: under
    ///   [`OnExpiry::Detach`](crate::OnExpiry::Detach) as under [`OnExpiry::Fail`](crate::OnExpiry::Fail), after which
    ///   blocking work goes on;
    /// - when it was aborted, when its coalescer has closed, and when it is over.
    ///
    /// It never becomes `false` again. Costs two loads of an atomic and an upgrade of a [`Weak`], takes no turn and never
    /// waits.
    pub fn is_forgotten(&self) -> bool {
        self.record.upgrade().is_none_or(|record| record.is_forgotten())
    }

    /// How long the work has been under way and how many callers wait for it, detached or not. `None` if the flight is over
    /// or its coalescer has closed.
    ///
    /// With no [`waiters`](FlightInfo::waiters) it is abandoned: all callers have left. Others may still come, unless it
    /// [`is_forgotten`](Self::is_forgotten). A departure counts as soon as its caller has left.
    ///
    /// Takes a turn of the flight's shard, and is answered in the first poll unless the shard is taken.
    ///
    /// # Cancellation
    ///
    /// Safe: it changes nothing.
    ///
    /// # Examples
    ///
    /// Work in many steps that ends early if it has no callers:
    ///
    /// ```
    /// use shardflight::Coalescer;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::JoinError> {
    /// let handle = Coalescer::<String, usize>::new().handle();
    /// let inside = handle.clone();
    /// let pages = handle.join("report", move || async move {
    ///     let flight = inside.current_flight().expect("this is work of a flight");
    ///     for page in 0..10 {
    ///         // … render the page, and then:
    ///         if flight.info().await.is_none_or(|info| info.waiters == 0) {
    ///             return page;
    ///         }
    ///     }
    ///     10
    /// });
    /// assert_eq!(pages.await?, 10);
    /// # Ok(()) }
    /// ```
    pub async fn info(&self) -> Option<FlightInfo> {
        let asked = self.engine.upgrade()?.look_for(self.itself);
        asked.answer().await.ok()?.1.map(FlightInfo::from)
    }

    /// [`info`](Self::info) for blocking work and other plain threads: blocks for as long as the shard is taken.
    ///
    /// # Panics
    ///
    /// When called from async code, as [`blocking_join`](crate::Handle::blocking_join).
    #[track_caller]
    pub fn blocking_info(&self) -> Option<FlightInfo> {
        refuse_async_code("blocking_info", "info");
        block_on(self.info())
    }

    /// Gives the flight at least this long from now: for work that makes progress. Says how long it has left until its
    /// deadline, [`Duration::MAX`] if it has none.
    ///
    /// The deadline never moves back, and not beyond
    /// [`max_extended_duration`](crate::Builder::max_extended_duration) from the flight's start, so what is left may be less
    /// than what was asked for. A limit of the leader's
    /// [own](crate::Handle::with_max_flight_duration) that is longer than that stays. Past the deadline, the error's
    /// [`TimedOut::after`](crate::JoinError::TimedOut) is the time that the flight had in all. How long each caller waits is
    /// its own affair: a [`max_wait`](crate::Handle::with_max_wait) is not extended.
    ///
    /// Takes a turn of the flight's shard, O(log n) among flights with a limit of their own: once a second is often enough,
    /// once per row is not. It is answered in the first poll unless the shard is taken.
    ///
    /// # Errors
    ///
    /// [`NotExtended::Over`] if the flight is over or past its deadline.
    /// [`NotExtended::NotAllowed`] without `max_extended_duration`.
    ///
    /// # Cancellation
    ///
    /// Once polled, it may have been carried out.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let handle = shardflight::Coalescer::<String, usize>::builder()
    ///     .max_flight_duration(Duration::from_secs(5))
    ///     .max_extended_duration(Duration::from_secs(60))
    ///     .build()?
    ///     .handle();
    /// let inside = handle.clone();
    /// let rows = handle.join("export", move || async move {
    ///     let flight = inside.current_flight().expect("this is work of a flight");
    ///     let mut rows = 0;
    ///     while rows < 10_000 {
    ///         // … read the next thousand rows, and then:
    ///         # tokio::time::sleep(Duration::from_secs(4)).await;
    ///         rows += 1_000;
    ///         let _ = flight.extend(Duration::from_secs(5)).await;
    ///     }
    ///     rows
    /// });
    /// assert_eq!(rows.await?, 10_000);
    /// # Ok(()) }
    /// ```
    pub async fn extend(&self, by: Duration) -> Result<Duration, NotExtended> {
        let engine = self.engine.upgrade().ok_or(NotExtended::Over)?;
        let asked = engine.extend(self.itself, by);
        asked.answer().await.map_err(|Closed| NotExtended::Over)?.1
    }

    /// [`extend`](Self::extend) for blocking work and other plain threads: blocks for as long as the shard is taken.
    ///
    /// # Errors
    ///
    /// As [`extend`](Self::extend).
    ///
    /// # Panics
    ///
    /// When called from async code, as [`blocking_join`](crate::Handle::blocking_join).
    #[track_caller]
    pub fn blocking_extend(&self, by: Duration) -> Result<Duration, NotExtended> {
        refuse_async_code("blocking_extend", "extend");
        block_on(self.extend(by))
    }
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight")
            .field("flight", &self.itself.id.number())
            .field("forgotten", &self.is_forgotten())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(shardflight_shuttle)))]
mod tests {
    use std::sync::{Arc, mpsc};

    use tokio::task::yield_now;

    use crate::Coalescer;

    #[tokio::test]
    async fn a_kept_flight_keeps_no_engine_alive() {
        let handle = Coalescer::<u8, ()>::new().handle();
        let (inside, (found, flight)) = (handle.clone(), mpsc::channel());
        handle.join(1, move || async move { found.send(inside.current_flight()).unwrap() }).await.unwrap();
        let flight = flight.try_recv().unwrap().expect("it was asked by the work");
        let engine = Arc::downgrade(&handle.router().engine);
        drop(handle);
        // The test's limit is a number of turns.
        for _ in 0..10_000 {
            if engine.strong_count() == 0 {
                break;
            }
            yield_now().await;
        }
        assert_eq!(engine.strong_count(), 0);
        assert!(flight.is_forgotten());
        assert!(flight.info().await.is_none());
    }
}
