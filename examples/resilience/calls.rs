//! Calls of the backend, and the layers around them, in their order.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::Client;
use seatbelt::{
    RecoveryInfo, ResilienceContext,
    breaker::{Breaker, HalfOpenMode},
};
use tick::Clock;
use tower::{
    BoxError, Layer, ServiceBuilder,
    layer::layer_fn,
    retry::{RetryLayer, budget::TpsBudget},
    util::BoxCloneSyncService,
};

use crate::{
    attempts::Attempts,
    failure::Failure,
    page::{Page, Pages},
};

/// The breaker judges the calls of so much time.
const SAMPLES: Duration = Duration::from_secs(1);

type Call = Pin<Box<dyn Future<Output = Result<Page, BoxError>> + Send>>;

/// Cloned for each flight. All clones share the breaker, the limit and the budget.
pub(crate) type Calls = BoxCloneSyncService<u32, Page, Failure>;

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Attempts after the first one.
    pub(crate) retries: usize,
    /// How many attempts more than calls there may be, in parts of the calls. `None`: as many as `retries` allows.
    pub(crate) budget: Option<f32>,
    /// How many calls the breaker waits for before it judges them.
    pub(crate) calls_min: u32,
    /// How long the breaker stays open before it lets a probe through. In a service, longer than a call may take: it lets a second
    /// probe through if the first hasn't ended by then. Here its clock stands still meanwhile.
    pub(crate) pause: Duration,
    /// Calls under way at the same time.
    pub(crate) limit: usize,
    pub(crate) timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            retries: 0,
            budget: None,
            calls_min: 10,
            pause: Duration::from_secs(1),
            limit: 500,
            timeout: Duration::from_secs(30),
        }
    }
}

/// What a breaker saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) failures: AtomicUsize,
    pub(crate) openings: AtomicUsize,
    pub(crate) closings: AtomicUsize,
    pub(crate) probes: AtomicUsize,
    pub(crate) refusals: AtomicUsize,
    /// A coalescer that is switched off while the breaker is open.
    pub(crate) switched: OnceLock<Pages>,
}

impl Seen {
    pub(crate) fn get(count: &AtomicUsize) -> usize {
        count.load(Ordering::SeqCst)
    }

    fn add(count: &AtomicUsize) {
        count.fetch_add(1, Ordering::SeqCst);
    }

    fn switch(&self, count: &AtomicUsize, is_on: bool) {
        Self::add(count);
        if let Some(pages) = self.switched.get() {
            pages.set_enabled(is_on);
        }
    }
}

/// Retry with budget → breaker → limit → timeout → call.
pub(crate) fn layered(
    backend: SocketAddr,
    settings: &Settings,
    clock: &Clock,
    seen: &Arc<Seen>,
) -> reqwest::Result<Calls> {
    let budget = settings.budget.map(|budget| Arc::new(TpsBudget::new(Duration::from_secs(10), 0, budget)));
    let calls = ServiceBuilder::new()
        .layer(RetryLayer::new(Attempts::new(settings.retries, budget)))
        .layer(layer_fn(|inner| breaker(settings, clock, seen, inner)))
        .map_err(Failure::of_call)
        .load_shed()
        .concurrency_limit(settings.limit)
        .timeout(settings.timeout)
        .service_fn(client(backend)?);
    Ok(BoxCloneSyncService::new(calls))
}

/// A call without any layer.
pub(crate) fn plain(backend: SocketAddr) -> reqwest::Result<Calls> {
    Ok(BoxCloneSyncService::new(ServiceBuilder::new().map_err(Failure::of_call).service_fn(client(backend)?)))
}

/// Lets one probe through when its pause is over.
pub(crate) fn breaker<S>(
    settings: &Settings,
    clock: &Clock,
    seen: &Arc<Seen>,
    inner: S,
) -> Breaker<u32, Result<Page, Failure>, S> {
    let context = ResilienceContext::new(clock.clone());
    let [judge, refused, opened, closed, probed] = [(); 5].map(|()| Arc::clone(seen));
    Breaker::layer("backend", &context)
        .min_throughput(settings.calls_min)
        .sampling_duration(SAMPLES)
        .break_duration(settings.pause)
        .half_open_mode(HalfOpenMode::quick())
        .recovery_with(move |result: &Result<Page, Failure>, _| match result {
            Err(failure) if failure.is_of_the_backend() => {
                Seen::add(&judge.failures);
                RecoveryInfo::retry()
            }
            _ => RecoveryInfo::never(),
        })
        .rejected_input_error(move |_, _| {
            Seen::add(&refused.refusals);
            Failure::Open
        })
        .on_opened(move |_, _| opened.switch(&opened.openings, false))
        .on_closed(move |_, _| closed.switch(&closed.closings, true))
        .on_probing(move |_, _| Seen::add(&probed.probes))
        .layer(inner)
}

/// The call itself.
fn client(backend: SocketAddr) -> reqwest::Result<impl Fn(u32) -> Call + Clone> {
    // A connection for each call, so that a reset one fails one call.
    let client = Client::builder().no_proxy().pool_max_idle_per_host(0).build()?;
    Ok(move |key| -> Call { Box::pin(get(client.clone(), format!("http://{backend}/pages/{key}"))) })
}

async fn get(client: Client, url: String) -> Result<Page, BoxError> {
    let response = client.get(url).send().await?;
    match response.status().as_u16() {
        200 => Ok(Page::fresh(response.text().await?)),
        status => Err(Failure::Status(status).into()),
    }
}
