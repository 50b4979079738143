//! Panics, overload, deadlines, wait cycles.

use std::{
    future::pending,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{Router, body::Body, extract::State, routing::get};
use bytes::Bytes;
use http::{Response, StatusCode, header};
use shardflight::{Coalescer, Freshness, JoinError, tower::CoalesceLayer};
use tokio::runtime::Builder;

use crate::support::{
    Count, Fixture, Gate, Server, Version, fetch, get_request, limited, panic_quietly, send, watched,
};

fn panicking_body() -> Body {
    panic_quietly("the secret is out")
}

#[tokio::test]
async fn a_panic_is_shared_and_not_remembered() {
    limited(async {
        for version in Version::BOTH {
            let fixture = Fixture::new();
            let server =
                Server::start(fixture.router(|call| if call == 1 { panicking_body() } else { Body::from("well") }))
                    .await;
            let tasks = [(); 3].map(|()| {
                let (client, url) = (version.client(), server.url("/a"));
                tokio::spawn(async move { fetch(&client, &url).await })
            });
            fixture.until(|stats| stats.waiters == 3).await;
            fixture.gate.open();
            for task in tasks {
                let (status, body) = task.await.unwrap();
                assert_eq!((status, &body[..]), (StatusCode::INTERNAL_SERVER_ERROR, &b"Internal Server Error"[..]));
            }
            assert_eq!(fixture.calls.get(), 1, "{version:?}");
            assert_eq!(fetch(&version.client(), &server.url("/a")).await.1, "well", "{version:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_waiter_cap_is_a_503() {
    limited(async {
        for version in Version::BOTH {
            let fixture = Fixture::on(Coalescer::builder().max_waiters_per_flight(1), |layer| {
                layer.retry_after(Duration::from_millis(2_500))
            });
            let server = Server::start(fixture.router(|call| call.to_string())).await;
            let client = version.client();
            let first = tokio::spawn(client.get(server.url("/a")).send());
            fixture.until(|stats| stats.waiters == 1).await;
            let second = client.get(server.url("/a")).send().await.unwrap();
            assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE, "{version:?}");
            assert_eq!(second.headers()[header::RETRY_AFTER], "3", "{version:?}");
            fixture.gate.open();
            assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK, "{version:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_flight_cap_is_a_503() {
    limited(async {
        let fixture = Fixture::on(Coalescer::builder().max_flights(1), |layer| layer);
        let router = fixture.router(|call| call.to_string());
        let first = tokio::spawn(send(&router, get_request("/a", &[])));
        fixture.until(|stats| stats.waiters == 1).await;
        let second = send(&router, get_request("/b", &[])).await;
        assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(second.headers()[header::RETRY_AFTER], "1");
        fixture.gate.open();
        assert_eq!(first.await.unwrap().status(), StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn the_longest_retry_after_is_a_number_of_seconds() {
    limited(async {
        let fixture = Fixture::on(Coalescer::builder().max_flights(1), |layer| layer.retry_after(Duration::MAX));
        let router = fixture.router(|call| call.to_string());
        let _first = tokio::spawn(send(&router, get_request("/a", &[])));
        fixture.until(|stats| stats.waiters == 1).await;
        let second = send(&router, get_request("/b", &[])).await;
        assert_eq!(second.headers()[header::RETRY_AFTER], u64::MAX.to_string());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_no_longer_leaves_its_request_to_the_others() {
    limited(async {
        let coalescer = Coalescer::builder().build().unwrap();
        let (fresh, gate) = (coalescer.handle().with_freshness(Freshness::StartedAfterCall), Gate::new());
        let layer = CoalesceLayer::builder().handle(fresh.with_max_wait(Duration::from_millis(50))).build();
        let passed = gate.clone();
        let handler = async move || passed.pass().await;
        let router = Router::new().route("/a", get(handler)).layer(layer);
        let until =
            async |waiters| crate::support::until(&coalescer.handle(), move |stats| stats.waiters == waiters).await;
        let requests = [(); 3].map(|()| router.clone());
        let mut tasks = Vec::new();
        for (number, router) in requests.into_iter().enumerate() {
            tasks.push(tokio::spawn(async move { send(&router, get_request("/a", &[])).await }));
            until(number + 1).await;
            // The first has a flight; the second leads the one that waits for it, and the third follows.
            tokio::time::advance(Duration::from_millis(20)).await;
        }
        tokio::time::advance(Duration::from_millis(15)).await;
        until(1).await;
        gate.open();
        let mut statuses = Vec::new();
        for task in tasks {
            statuses.push(task.await.unwrap().status().as_u16());
        }
        assert_eq!(statuses, [504, 504, 200]);
    })
    .await;
}

#[tokio::test]
async fn a_deadline_is_a_504() {
    limited(async {
        for version in Version::BOTH {
            let deadline = Duration::from_millis(50);
            let fixture = Fixture::on(Coalescer::builder().max_flight_duration(deadline), |layer| layer);
            // The gate stays closed.
            let server = Server::start(fixture.router(|call| call.to_string())).await;
            let response = version.client().get(server.url("/a")).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT, "{version:?}");
            assert_eq!(response.headers()[header::RETRY_AFTER], "1", "{version:?}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_endless_body_hits_the_deadline() {
    let fixture = Fixture::new();
    fixture.gate.open();
    let router = fixture.router(|_| Body::from_stream(futures::stream::pending::<std::io::Result<Bytes>>()));
    let response = limited(send(&router, get_request("/a", &[]))).await;
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[test]
fn an_always_ready_body_hits_the_deadline() {
    // On a thread of its own, which it would block on failure.
    watched(|| {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new();
            fixture.gate.open();
            let empty = || Body::from_stream(futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::new())));
            let router = fixture.router(move |_| empty());
            let task = tokio::spawn(send(&router, get_request("/a", &[])));
            fixture.until(|stats| stats.waiters == 1).await;
            tokio::time::advance(Duration::from_secs(31)).await;
            assert_eq!(task.await.unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
        });
    });
}

#[tokio::test]
async fn a_shutdown_is_a_503() {
    limited(async {
        let coalescer = Coalescer::builder().build().unwrap();
        let layer = CoalesceLayer::builder().handle(coalescer.handle()).build();
        let router = Router::new().route("/a", get(async || "never")).layer(layer);
        coalescer.shutdown(Duration::ZERO).await;
        let response = send(&router, get_request("/a", &[])).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(!response.headers().contains_key(header::RETRY_AFTER));
    })
    .await;
}

#[tokio::test]
async fn map_join_error_makes_the_response() {
    limited(async {
        let fixture = Fixture::with(|layer| {
            layer.map_join_error(|error| {
                assert!(matches!(error, JoinError::Panicked(_)));
                Response::builder().status(StatusCode::IM_A_TEAPOT).body(Bytes::from(error.to_string())).unwrap()
            })
        });
        fixture.gate.open();
        let response = send(&fixture.router(|_| panicking_body()), get_request("/a", &[])).await;
        assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
        assert_eq!(response.body(), "panicked: the secret is out");
    })
    .await;
}

#[derive(Clone, Default)]
struct Loop {
    router: Arc<OnceLock<Router>>,
    calls: Count,
}

async fn call_next(state: &Loop, next: &str) -> String {
    state.calls.up();
    let router = state.router.get().expect("the router is set");
    let answer = send(router, get_request(next, &[])).await;
    format!("{} {}", answer.status().as_u16(), String::from_utf8_lossy(answer.body()))
}

#[tokio::test]
async fn a_wait_cycle_is_a_508() {
    limited(async {
        let state = Loop::default();
        let router = Router::new()
            .route("/self", get(async |State(state): State<Loop>| call_next(&state, "/self").await))
            .route("/a", get(async |State(state): State<Loop>| call_next(&state, "/b").await))
            .route("/b", get(async |State(state): State<Loop>| call_next(&state, "/a").await))
            .with_state(state.clone())
            .layer(CoalesceLayer::new());
        state.router.set(router.clone()).unwrap();
        let alone = send(&router, get_request("/self", &[])).await;
        assert_eq!((alone.status(), &alone.body()[..]), (StatusCode::OK, &b"508 Loop Detected"[..]));
        let round = send(&router, get_request("/a", &[])).await;
        assert_eq!((round.status(), &round.body()[..]), (StatusCode::OK, &b"200 508 Loop Detected"[..]));
        assert_eq!(state.calls.get(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_slow_key_delays_no_other() {
    limited(async {
        let layer = CoalesceLayer::new();
        let gate = Gate::new();
        let reached = gate.clone();
        let slow = async move || {
            reached.open();
            pending::<&str>().await
        };
        let router = Router::new().route("/slow", get(slow)).route("/fast", get(async || "fast")).layer(layer);
        let hanging = tokio::spawn(send(&router, get_request("/slow", &[])));
        gate.pass().await;
        assert_eq!(send(&router, get_request("/fast", &[])).await.body(), "fast");
        hanging.abort();
    })
    .await;
}
