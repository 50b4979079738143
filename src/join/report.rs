//! Joins that say what became of them.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use crate::{engine::Watch, report::FlightReport};

/// A join future of any kind.
pub(crate) trait Watched: Future + Unpin {
    fn poll_watched(&mut self, cx: &mut Context<'_>, watch: Option<&Arc<Watch>>) -> Poll<Self::Output>;
}

/// A join whose output is a pair: the answer, and a [`FlightReport`] of what became of it, after an error too. From
/// `with_report` of each join future.
///
/// Costs the caller that asks one allocation, and the first such caller of a flight two more; the flight then reads the clock at
/// its end. Other callers pay nothing. In everything else it is the join that it was made of. Ask before the join's first poll: one
/// that has been polled before reports [`Refused`](crate::CallerRole::Refused).
///
/// # Errors
///
/// Those of the join, in the first part of the pair. After a [`Reentrant`](crate::JoinError::Reentrant) the report has the
/// flight that would have been waited for, if it was another one than the work's own.
///
/// # Cancellation
///
/// As the join's.
///
/// # Panics
///
/// When polled again after the answer.
///
/// # Examples
///
/// The headers of a response. `ran` tells how long the work took, not how long this caller waited.
///
/// ```
/// use shardflight::Coalescer;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), shardflight::JoinError> {
/// let handle = Coalescer::<String, String>::new().handle();
/// let work = || async { "<html>".to_owned() };
/// let (page, report) = handle.join("/posts/7", work).with_report().await;
///
/// let ran = report.ran.unwrap_or_default().as_secs_f64() * 1_000.0;
/// let server_timing = format!("coalesce;dur={ran:.1};desc={}", report.role.as_str());
/// assert!(server_timing.ends_with("desc=leader"));
///
/// // What the page was made of may be as old as its work. (Tokio's clock, as `started` is on it.)
/// let now = tokio::time::Instant::now().into_std();
/// let age = report.started.map_or(0, |started| now.saturating_duration_since(started).as_secs());
/// assert_eq!((page?.as_str(), age), ("<html>", 0));
/// # Ok(()) }
/// ```
#[must_use = "joining is lazy: nothing happens before the future is polled"]
pub struct WithReport<J> {
    join: J,
    watch: Arc<Watch>,
}

impl<J> WithReport<J> {
    pub(super) fn new(join: J) -> Self {
        Self { join, watch: Watch::new() }
    }
}

impl<J: Watched> Future for WithReport<J> {
    type Output = (J::Output, FlightReport);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { join, watch } = &mut *self;
        let answer = ready!(join.poll_watched(cx, Some(watch)));
        Poll::Ready((answer, watch.report()))
    }
}

impl<J: fmt::Debug> fmt::Debug for WithReport<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WithReport").field(&self.join).finish()
    }
}
