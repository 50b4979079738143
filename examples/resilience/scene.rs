//! A backend, the layered calls of it, and a coalescer in front.

use std::{pin::Pin, sync::Arc, time::Duration};

use shardflight::{Coalescer, Stats};
use tick::ClockControl;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

use crate::{
    Fallible,
    backend::{Backend, Fault},
    calls::{self, Calls, Seen, Settings},
    failure::Failure,
    fallback::Fallback,
    page::{Page, Pages},
};

/// Longer than anything here takes, short enough to wait for.
const WAIT_LIMIT: Duration = Duration::from_secs(25);
const INTERVAL: Duration = Duration::from_millis(1);

type Asking = Pin<Box<dyn Future<Output = Result<Page, Failure>> + Send>>;

/// Coalesce → fallback → the layered calls.
async fn ask(pages: Pages, calls: Calls, fallback: Option<Fallback>, key: u32) -> Result<Page, Failure> {
    let work = move || async move {
        let result = calls.oneshot(key).await;
        match fallback {
            Some(fallback) => fallback.apply(key, result),
            None => result,
        }
    };
    pages.try_join(key, work).await.map_err(Failure::of_join)
}

pub(crate) struct Scene {
    pub(crate) backend: Backend,
    pub(crate) pages: Pages,
    pub(crate) calls: Calls,
    pub(crate) seen: Arc<Seen>,
    pub(crate) settings: Settings,
    /// The breaker's.
    pub(crate) clock: ClockControl,
    fallback: Option<Fallback>,
}

impl Scene {
    /// The breaker's clock stands still but for [`wait_for_half_open`](Self::wait_for_half_open), so that what the breaker does
    /// doesn't depend on how fast this machine is.
    pub(crate) async fn new(settings: Settings) -> Fallible<Self> {
        let backend = Backend::start().await?;
        let seen = Arc::default();
        let clock = ClockControl::new();
        let calls = calls::layered(backend.address, &settings, &clock.to_clock(), &seen)?;
        let pages = Coalescer::new().handle();
        Ok(Self { backend, pages, calls, seen, settings, clock, fallback: None })
    }

    pub(crate) fn with_fallback(self) -> Self {
        Self { fallback: Some(Fallback::default()), ..self }
    }

    /// One caller.
    pub(crate) fn ask(&self, key: u32) -> impl Future<Output = Result<Page, Failure>> + Send + use<> {
        self.ask_through(&self.pages, key)
    }

    pub(crate) fn ask_through(
        &self,
        pages: &Pages,
        key: u32,
    ) -> impl Future<Output = Result<Page, Failure>> + Send + use<> {
        ask(pages.clone(), self.calls.clone(), self.fallback.clone(), key)
    }

    /// A caller that asks again and again.
    pub(crate) fn asker(&self, key: u32) -> impl Fn() -> Asking + Send + use<> {
        let (pages, calls, fallback) = (self.pages.clone(), self.calls.clone(), self.fallback.clone());
        move || Box::pin(ask(pages.clone(), calls.clone(), fallback.clone(), key))
    }

    /// Has calls fail, each for a key of its own, until the breaker is open.
    pub(crate) async fn open_the_breaker(&self) -> Fallible<()> {
        self.backend.fail(Fault::Error, usize::MAX);
        for key in 0.. {
            if Seen::get(&self.seen.openings) > 0 {
                break;
            }
            if key > 10 * self.settings.calls_min {
                return Err("the breaker doesn't open".into());
            }
            let _ = self.calls.clone().oneshot(1_000_000 + key).await;
        }
        self.backend.recover();
        self.backend.reset_counts();
        Ok(())
    }

    /// Ends the pause of an open breaker.
    pub(crate) fn wait_for_half_open(&self) {
        self.clock.advance(self.settings.pause);
    }

    pub(crate) async fn until(&self, awaited: &str, condition: impl Fn(&Stats, &Backend) -> bool) -> Fallible<Stats> {
        let end = Instant::now() + WAIT_LIMIT;
        loop {
            let stats = self.pages.stats().await?;
            if condition(&stats, &self.backend) {
                return Ok(stats);
            }
            if Instant::now() > end {
                let (seen, backend) = (&self.seen, self.backend.current());
                return Err(format!(
                    "waited {WAIT_LIMIT:?} for {awaited}; instead: {backend} at the backend, {seen:?}, {stats:?}"
                )
                .into());
            }
            sleep(INTERVAL).await;
        }
    }
}
