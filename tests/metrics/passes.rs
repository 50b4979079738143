//! Pass-throughs of an HTTP layer.

use std::time::Duration;

use axum::{Router, body::Body, response::IntoResponse, routing::get};
use futures::future::join_all;
use http::{Request, StatusCode};
use shardflight::{
    Coalescer, Handle, Stats,
    tower::{Answer, CoalesceLayer, Key, Reason},
};
use tokio::time::{advance, sleep};
use tower::ServiceExt;

use crate::exported::Exported;
use crate::support::{at_rest, limited, settle};
use crate::totals::counters;

const PRIVATE: [(&str, &str); 1] = [("cache-control", "private")];
const NEVER: Duration = Duration::from_secs(1_000_000);

struct Site {
    exported: Exported,
    coalescer: Coalescer<Key, Answer>,
    layer: CoalesceLayer,
}

impl Site {
    fn new() -> Self {
        let exported = Exported::new();
        let coalescer =
            exported.to(|| Coalescer::builder().shards(2).max_flight_duration(NEVER).metrics("http").build().unwrap());
        let layer = CoalesceLayer::builder().handle(coalescer.handle()).build();
        Self { exported, coalescer, layer }
    }

    fn handle(&self) -> Handle<Key, Answer> {
        self.coalescer.handle()
    }

    /// Sends requests at once to a handler that takes `time`.
    async fn send<R: IntoResponse + Clone + Send + Sync + 'static>(
        &self,
        requests: impl IntoIterator<Item = Request<Body>>,
        response: R,
        time: Duration,
    ) {
        let handler = async move || {
            sleep(time).await;
            response
        };
        let router = Router::new().route("/{*path}", get(handler.clone()).post(handler)).layer(self.layer.clone());
        let statuses = join_all(requests.into_iter().map(|request| router.clone().oneshot(request))).await;
        assert!(statuses.into_iter().all(|response| response.unwrap().status() == StatusCode::OK));
    }

    fn passes(&self, reason: &str) -> u64 {
        self.exported.count("shardflight_passes_total", &[("coalescer", "http"), ("reason", reason)])
    }

    /// After the next report, exported counters and stats agree.
    async fn report(&self) -> Stats {
        let stats = at_rest(&self.handle()).await;
        advance(Duration::from_secs(1)).await;
        settle().await;
        for (name, counted) in counters(&stats) {
            assert_eq!(self.exported.count(name, &[]), counted, "{name}");
        }
        assert_eq!(stats.joins, stats.executions + stats.coalesced + stats.rejections + stats.bypasses);
        stats
    }
}

/// Each time of another path, as the layer remembers which responses can't be shared.
fn gets(path: &str, count: usize) -> impl Iterator<Item = Request<Body>> {
    (0..count).map(move |_| Request::get(path).body(Body::empty()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn private_responses_save_no_calls() {
    limited(async {
        let site = Site::new();
        site.send(gets("/1", 100), PRIVATE, Duration::from_millis(10)).await;
        let stats = site.report().await;
        assert_eq!((stats.joins, stats.executions, stats.coalesced, stats.bypasses), (100, 1, 0, 99));
        assert!(stats.coalescing_rate().abs() < f64::EPSILON);
        assert_eq!(site.passes("response_cache_control"), 100);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn shared_responses_are_coalesced() {
    limited(async {
        let site = Site::new();
        site.send(gets("/2", 100), "shared", Duration::from_millis(10)).await;
        let stats = site.report().await;
        assert_eq!((stats.executions, stats.coalesced, stats.bypasses), (1, 99, 0));
        assert_eq!(site.exported.count("shardflight_passes_total", &[]), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn followers_are_coalesced_once_they_have_shared() {
    limited(async {
        let site = Site::new();
        for path in ["/a", "/b", "/c"] {
            // Several reports come before the response.
            site.send(gets(path, 10), PRIVATE, Duration::from_millis(4_500)).await;
            assert_eq!(site.exported.count("shardflight_coalesced_total", &[]), 0);
        }
        site.send(gets("/d", 101), "shared", Duration::from_millis(4_500)).await;
        let stats = site.report().await;
        assert_eq!((stats.executions, stats.coalesced, stats.bypasses), (4, 100, 27));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn followers_whose_headers_vary_save_no_calls() {
    limited(async {
        let site = Site::new();
        let agent = |number: usize| ["one", "other"][number % 2];
        let requests = (0..10)
            .map(|number| Request::get("/varied").header("user-agent", agent(number)).body(Body::empty()).unwrap());
        site.send(requests, [("vary", "user-agent")], Duration::from_millis(10)).await;
        let stats = site.report().await;
        assert_eq!((stats.executions, stats.coalesced, stats.bypasses), (1, 4, 5));
        assert_eq!(site.passes("vary"), 5);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn passes_are_exported_by_reason() {
    limited(async {
        let site = Site::new();
        for reason in Reason::ALL {
            assert_eq!(site.passes(reason.as_str()), 0, "{reason} has no series before it happens");
        }
        let post = Request::post("/page").body(Body::empty()).unwrap();
        let range = Request::get("/page").header("range", "bytes=0-1").body(Body::empty()).unwrap();
        site.send([post, range], "alone", Duration::ZERO).await;
        site.send(gets("/5", 3), [("set-cookie", "a=b")], Duration::ZERO).await;
        for reason in Reason::ALL {
            assert_eq!(site.passes(reason.as_str()), site.layer.passes().of(reason), "{reason}");
        }
        assert_eq!(site.layer.passes().total(), 5);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn passes_after_a_shutdown_are_exported() {
    limited(async {
        let site = Site::new();
        site.coalescer.shutdown(Duration::ZERO).await;
        let post = Request::post("/page").body(Body::empty()).unwrap();
        site.send([post], "alone", Duration::ZERO).await;
        assert_eq!(site.passes("method"), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reset_keeps_calls_of_followers_apart() {
    limited(async {
        let site = Site::new();
        site.send(gets("/6", 10), PRIVATE, Duration::from_millis(10)).await;
        site.handle().reset_stats().await.unwrap();
        site.send(gets("/7", 5), PRIVATE, Duration::from_millis(10)).await;
        site.send(gets("/8", 4), "shared", Duration::from_millis(10)).await;
        let stats = at_rest(&site.handle()).await;
        assert_eq!((stats.joins, stats.executions, stats.coalesced, stats.bypasses), (9, 2, 3, 4));
        advance(Duration::from_secs(1)).await;
        settle().await;
        assert_eq!(site.exported.count("shardflight_bypasses_total", &[]), 13);
        assert_eq!(site.exported.count("shardflight_coalesced_total", &[]), 3);
    })
    .await;
}

#[tokio::test]
async fn coalescers_without_a_layer_have_no_passes() {
    let exported = Exported::new();
    let _coalescer = exported.to(|| Coalescer::<u32, u32>::builder().metrics("users").build().unwrap());
    assert!(!exported.text().contains("shardflight_passes_total"));
}
