//! What becomes of bodies.

use std::io;

use axum::{Router, body::Body, response::IntoResponse, routing::get};
use bytes::Bytes;
use futures::{StreamExt, future::join_all, stream};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use shardflight::tower::{CoalescedBody, Reason};

use crate::support::{Gate, Site, Stage, Version, ask, fetch, limited};

const CAP: usize = 10_000;

fn capped() -> Stage {
    Stage::with(|layer| layer.max_body_bytes(CAP))
}

/// Bytes of which no two stretches are the same for long.
fn pattern(length: usize) -> Bytes {
    let mut rng = fastrand::Rng::with_seed(length as u64);
    (0..length).map(|_| rng.u8(..)).collect()
}

/// In pieces of many sizes, and of a length that nobody is told beforehand.
fn streamed(whole: &Bytes) -> Body {
    let mut rest = whole.clone();
    let mut rng = fastrand::Rng::with_seed(7);
    let pieces = std::iter::from_fn(move || {
        let length = rng.usize(..2_000).min(rest.len());
        (!rest.is_empty()).then(|| Ok::<_, io::Error>(rest.split_to(length)))
    });
    Body::from_stream(stream::iter(pieces))
}

/// What ten clients of one flight get over each version; and how often was called for it.
async fn ten_clients(whole: &Bytes, body: fn(&Bytes) -> Body) -> Vec<usize> {
    let mut calls = Vec::new();
    for version in Version::BOTH {
        let stage = capped();
        let content = whole.clone();
        let site = Site::open(stage.router(move |_| body(&content))).await;
        let visits: Vec<_> = (0..10)
            .map(|_| {
                let (client, url) = (version.client(), site.url("/a"));
                tokio::spawn(async move { fetch(&client, &url).await.1 })
            })
            .collect();
        stage.until(|stats| stats.waiters == 10).await;
        stage.gate.open();
        for visit in visits {
            assert!(visit.await.unwrap() == whole, "{version:?}");
        }
        let expected = if stage.calls.get() == 1 { 0 } else { 10 };
        assert_eq!(stage.passes(Reason::TooLarge), expected, "{version:?}");
        calls.push(stage.calls.get());
    }
    calls
}

#[tokio::test]
async fn bodies_up_to_the_cap_are_shared() {
    limited(async {
        for length in [0, 1, CAP] {
            assert_eq!(ten_clients(&pattern(length), streamed).await, [1, 1], "{length}");
            assert_eq!(ten_clients(&pattern(length), |whole| Body::from(whole.clone())).await, [1, 1], "{length}");
        }
    })
    .await;
}

#[tokio::test]
async fn bodies_over_the_cap_come_through_byte_for_byte_to_each_caller_by_itself() {
    limited(async {
        for length in [CAP + 1, 3_000_000] {
            assert_eq!(ten_clients(&pattern(length), streamed).await, [10, 10], "{length}");
            assert_eq!(ten_clients(&pattern(length), |whole| Body::from(whole.clone())).await, [10, 10], "{length}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_leaders_stream_flows_on_once_the_cap_is_passed() {
    limited(async {
        for version in Version::BOTH {
            let stage = capped();
            stage.gate.open();
            let second_half = Gate::new();
            let gate = second_half.clone();
            let site = Site::open(stage.router(move |_| {
                let gate = gate.clone();
                let late = stream::once(async move {
                    gate.pass().await;
                    Ok::<_, io::Error>(pattern(5))
                });
                Body::from_stream(stream::iter([Ok(pattern(CAP)), Ok(pattern(CAP))]).chain(late))
            }))
            .await;
            let mut response = version.client().get(site.url("/a")).send().await.unwrap();
            let mut seen = Vec::new();
            while seen.len() < 2 * CAP {
                seen.extend_from_slice(&response.chunk().await.unwrap().expect("not the end yet"));
            }
            second_half.open();
            while let Some(chunk) = response.chunk().await.unwrap() {
                seen.extend_from_slice(&chunk);
            }
            assert!(seen == [pattern(CAP), pattern(CAP), pattern(5)].concat(), "{version:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_length_over_the_cap_is_known_before_the_body() {
    limited(async {
        let stage = capped();
        // A body that never comes: whoever waits for it hangs.
        let router = stage.router(|_| {
            let headers = [(header::CONTENT_LENGTH, (CAP + 1).to_string())];
            (headers, Body::from_stream(stream::pending::<io::Result<Bytes>>()))
        });
        let visits = [(); 2].map(|()| tokio::spawn(tower::ServiceExt::oneshot(router.clone(), ask("/a", &[]))));
        stage.until(|stats| stats.waiters == 2).await;
        stage.gate.open();
        for visit in visits {
            assert_eq!(visit.await.unwrap().unwrap().status(), 200);
        }
        assert_eq!(stage.passes(Reason::TooLarge), 2);
    })
    .await;
}

#[tokio::test]
async fn the_length_that_a_head_announces_is_no_length_of_its_own() {
    limited(async {
        for version in Version::BOTH {
            let stage = capped();
            let site = Site::open(stage.router(|_| ([(header::CONTENT_LENGTH, "1000000")], Body::empty()))).await;
            let visits = [(); 2].map(|()| {
                let request = version.client().head(site.url("/a"));
                tokio::spawn(request.send())
            });
            stage.until(|stats| stats.waiters == 2).await;
            stage.gate.open();
            for visit in visits {
                assert_eq!(visit.await.unwrap().unwrap().headers()[header::CONTENT_LENGTH], "1000000", "{version:?}");
            }
            assert_eq!((stage.calls.get(), stage.layer.passes().total()), (1, 0), "{version:?}");
        }
    })
    .await;
}

fn with_trailers(length: usize) -> Response<Body> {
    let trailers = HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static("\"7\""))]);
    let body = streamed(&pattern(length)).with_trailers(async { Some(Ok(trailers)) });
    // Without its announcement, or with the length known, hyper sends none over HTTP/1.1.
    ([(header::TRAILER, "etag")], Body::new(body)).into_response()
}

#[tokio::test]
async fn trailers_reach_everyone() {
    limited(async {
        for (length, calls) in [(0, 1), (5, 1), (CAP + 1, 2)] {
            for version in Version::BOTH {
                let stage = capped();
                let site = Site::open(stage.router(move |_| with_trailers(length))).await;
                let visits = [(); 2].map(|()| {
                    let request = version.client().get(site.url("/a")).header(header::TE, "trailers");
                    tokio::spawn(async move {
                        let response = Response::<reqwest::Body>::from(request.send().await.unwrap());
                        response.into_body().collect().await.unwrap()
                    })
                });
                stage.until(|stats| stats.waiters == 2).await;
                stage.gate.open();
                for body in join_all(visits).await {
                    let body = body.unwrap();
                    let trailers =
                        body.trailers().unwrap_or_else(|| panic!("no trailers: {version:?}, {length} bytes"));
                    assert_eq!(trailers[header::ETAG], "\"7\"", "{version:?}, {length} bytes");
                    assert!(body.to_bytes() == pattern(length), "{version:?}, {length} bytes");
                }
                assert_eq!(stage.calls.get(), calls, "{version:?}, {length} bytes");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_that_fails_fails_at_the_same_place_for_all() {
    limited(async {
        let stage = Stage::new();
        let router = stage.router(|_| {
            let pieces = [Ok(Bytes::from("the first half")), Err(io::Error::other("the disk is gone"))];
            Body::from_stream(stream::iter(pieces))
        });
        let visits = [(); 2].map(|()| tokio::spawn(tower::ServiceExt::oneshot(router.clone(), ask("/a", &[]))));
        stage.until(|stats| stats.waiters == 2).await;
        stage.gate.open();
        for visit in visits {
            let mut body = visit.await.unwrap().unwrap().into_body();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "the first half");
            assert!(body.frame().await.unwrap().unwrap_err().to_string().contains("the disk is gone"));
        }
        assert_eq!(stage.calls.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn shared_bytes_are_not_copied() {
    limited(async {
        let stage = Stage::new();
        let content = pattern(5_000);
        let served = content.clone();
        let router = stage.router(move |_| served.clone());
        for response in stage.play(&router, [(); 3].map(|()| ask("/a", &[])), 3).await {
            assert_eq!(response.body().as_ptr(), content.as_ptr());
        }
    })
    .await;
}

#[tokio::test]
async fn a_head_of_a_get_route_has_no_body_and_its_length() {
    limited(async {
        let stage = capped();
        let router: Router = Router::new().route("/a", get(async || "text")).layer(stage.layer.clone());
        let request = Request::head("/a").body(Body::empty()).unwrap();
        let response = crate::support::visit(&router, request).await;
        assert_eq!(response.body(), "");
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "4");
    })
    .await;
}

#[test]
fn a_body_of_a_layers_own_is_empty() {
    assert!(http_body::Body::is_end_stream(&CoalescedBody::<Body>::default()));
}
