//! Panics, overload, deadlines, circles.

use std::{
    future::pending,
    panic::resume_unwind,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{Router, body::Body, extract::State, routing::get};
use bytes::Bytes;
use http::{Response, StatusCode, header};
use shardflight::{Coalescer, JoinError, tower::CoalesceLayer};
use tokio::runtime::Builder;

use crate::support::{Count, Gate, Site, Stage, Version, ask, fetch, limited, visit, watched};

/// Panics without a word on stderr.
fn panic_quietly() -> Body {
    resume_unwind(Box::new("the secret is out"))
}

#[tokio::test]
async fn a_panic_is_an_answer_for_all_and_remembered_by_none() {
    limited(async {
        for version in Version::BOTH {
            let stage = Stage::new();
            let site =
                Site::open(stage.router(|call| if call == 1 { panic_quietly() } else { Body::from("well") })).await;
            let visits = [(); 3].map(|()| {
                let (client, url) = (version.client(), site.url("/a"));
                tokio::spawn(async move { fetch(&client, &url).await })
            });
            stage.until(|stats| stats.waiters == 3).await;
            stage.gate.open();
            for visit in visits {
                let (status, body) = visit.await.unwrap();
                assert_eq!((status, &body[..]), (StatusCode::INTERNAL_SERVER_ERROR, &b"Internal Server Error"[..]));
            }
            assert_eq!(stage.calls.get(), 1, "{version:?}");
            assert_eq!(fetch(&version.client(), &site.url("/a")).await.1, "well", "{version:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn one_caller_too_many_is_told_when_to_come_again() {
    limited(async {
        for version in Version::BOTH {
            let stage = Stage::on(Coalescer::builder().max_waiters_per_flight(1), |layer| {
                layer.retry_after(Duration::from_millis(2_500))
            });
            let site = Site::open(stage.router(|call| call.to_string())).await;
            let client = version.client();
            let first = tokio::spawn(client.get(site.url("/a")).send());
            stage.until(|stats| stats.waiters == 1).await;
            let second = client.get(site.url("/a")).send().await.unwrap();
            assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE, "{version:?}");
            assert_eq!(second.headers()[header::RETRY_AFTER], "3", "{version:?}");
            stage.gate.open();
            assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK, "{version:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn one_flight_too_many_is_told_when_to_come_again() {
    limited(async {
        let stage = Stage::on(Coalescer::builder().max_flights(1), |layer| layer);
        let router = stage.router(|call| call.to_string());
        let first = tokio::spawn(visit(&router, ask("/a", &[])));
        stage.until(|stats| stats.waiters == 1).await;
        let second = visit(&router, ask("/b", &[])).await;
        assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(second.headers()[header::RETRY_AFTER], "1");
        stage.gate.open();
        assert_eq!(first.await.unwrap().status(), StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn time_that_is_up_is_a_gateways_timeout() {
    limited(async {
        for version in Version::BOTH {
            let deadline = Duration::from_millis(50);
            let stage = Stage::on(Coalescer::builder().max_flight_duration(deadline), |layer| layer);
            // The gate stays closed.
            let site = Site::open(stage.router(|call| call.to_string())).await;
            let response = version.client().get(site.url("/a")).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT, "{version:?}");
            assert_eq!(response.headers()[header::RETRY_AFTER], "1", "{version:?}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_ends_with_its_flight() {
    let stage = Stage::new();
    stage.gate.open();
    let router = stage.router(|_| Body::from_stream(futures::stream::pending::<std::io::Result<Bytes>>()));
    assert_eq!(visit(&router, ask("/a", &[])).await.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[test]
fn a_body_that_is_always_ready_and_never_has_anything_ends_with_its_flight() {
    // On a thread of its own, which it would keep if it went wrong.
    watched(|| {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let stage = Stage::new();
            stage.gate.open();
            let empty = || Body::from_stream(futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::new())));
            let router = stage.router(move |_| empty());
            let visit = tokio::spawn(visit(&router, ask("/a", &[])));
            stage.until(|stats| stats.waiters == 1).await;
            tokio::time::advance(Duration::from_secs(31)).await;
            assert_eq!(visit.await.unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
        });
    });
}

#[tokio::test]
async fn a_coalescer_that_was_shut_down_is_unavailable() {
    limited(async {
        let coalescer = Coalescer::builder().build().unwrap();
        let layer = CoalesceLayer::builder().handle(coalescer.handle()).build();
        let router = Router::new().route("/a", get(async || "never")).layer(layer);
        coalescer.shutdown(Duration::ZERO).await;
        let response = visit(&router, ask("/a", &[])).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(!response.headers().contains_key(header::RETRY_AFTER));
    })
    .await;
}

#[tokio::test]
async fn failures_look_as_the_user_says() {
    limited(async {
        let stage = Stage::with(|layer| {
            layer.map_join_error(|error| {
                assert!(matches!(error, JoinError::Panicked(_)));
                Response::builder().status(StatusCode::IM_A_TEAPOT).body(Bytes::from(error.to_string())).unwrap()
            })
        });
        stage.gate.open();
        let response = visit(&stage.router(|_| panic_quietly()), ask("/a", &[])).await;
        assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
        assert_eq!(response.body(), "panicked: the secret is out");
    })
    .await;
}

#[derive(Clone, Default)]
struct Town {
    router: Arc<OnceLock<Router>>,
    calls: Count,
}

async fn go_round(town: &Town, next: &str) -> String {
    town.calls.up();
    let router = town.router.get().expect("the town is built");
    let answer = visit(router, ask(next, &[])).await;
    format!("{} {}", answer.status().as_u16(), String::from_utf8_lossy(answer.body()))
}

#[tokio::test]
async fn a_handler_that_calls_its_own_route_gets_an_answer() {
    limited(async {
        let town = Town::default();
        let router = Router::new()
            .route("/self", get(async |State(town): State<Town>| go_round(&town, "/self").await))
            .route("/a", get(async |State(town): State<Town>| go_round(&town, "/b").await))
            .route("/b", get(async |State(town): State<Town>| go_round(&town, "/a").await))
            .with_state(town.clone())
            .layer(CoalesceLayer::new());
        town.router.set(router.clone()).unwrap();
        let alone = visit(&router, ask("/self", &[])).await;
        assert_eq!((alone.status(), &alone.body()[..]), (StatusCode::OK, &b"508 Loop Detected"[..]));
        let round = visit(&router, ask("/a", &[])).await;
        assert_eq!((round.status(), &round.body()[..]), (StatusCode::OK, &b"200 508 Loop Detected"[..]));
        assert_eq!(town.calls.get(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_slow_key_keeps_no_other_waiting() {
    limited(async {
        let layer = CoalesceLayer::new();
        let gate = Gate::new();
        let reached = gate.clone();
        let slow = async move || {
            reached.open();
            pending::<&str>().await
        };
        let router = Router::new().route("/slow", get(slow)).route("/fast", get(async || "fast")).layer(layer);
        let hanging = tokio::spawn(visit(&router, ask("/slow", &[])));
        gate.pass().await;
        assert_eq!(visit(&router, ask("/fast", &[])).await.body(), "fast");
        hanging.abort();
    })
    .await;
}
