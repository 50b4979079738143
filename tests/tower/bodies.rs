//! Bodies: the cap, trailers, failures.

use std::io;

use axum::{Router, body::Body, response::IntoResponse, routing::get};
use bytes::Bytes;
use futures::{StreamExt, future::join_all, stream};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use shardflight::tower::{CoalescedBody, Reason, SharedError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Fixture, Gate, Server, Version, fetch, get_request, limited};

const CAP: usize = 10_000;

fn capped() -> Fixture {
    Fixture::with(|layer| layer.max_body_bytes(CAP))
}

/// Random bytes, so that lost or reordered chunks show.
fn pattern(length: usize) -> Bytes {
    let mut rng = fastrand::Rng::with_seed(length as u64);
    (0..length).map(|_| rng.u8(..)).collect()
}

/// A body in chunks of random sizes, without a known length.
fn streamed(whole: &Bytes) -> Body {
    let mut rest = whole.clone();
    let mut rng = fastrand::Rng::with_seed(7);
    let pieces = std::iter::from_fn(move || {
        let length = rng.usize(..2_000).min(rest.len());
        (!rest.is_empty()).then(|| Ok::<_, io::Error>(rest.split_to(length)))
    });
    Body::from_stream(stream::iter(pieces))
}

/// Checks what ten clients of one flight get over each version. Returns the number of calls by version.
async fn ten_clients(whole: &Bytes, body: fn(&Bytes) -> Body) -> Vec<usize> {
    let mut calls = Vec::new();
    for version in Version::BOTH {
        let fixture = capped();
        let content = whole.clone();
        let server = Server::start(fixture.router(move |_| body(&content))).await;
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let (client, url) = (version.client(), server.url("/a"));
                tokio::spawn(async move { fetch(&client, &url).await.1 })
            })
            .collect();
        fixture.until(|stats| stats.waiters == 10).await;
        fixture.gate.open();
        for task in tasks {
            assert!(task.await.unwrap() == whole, "{version:?}");
        }
        // Those that were too slow for the buffer, if it was one.
        assert_eq!(fixture.passes(Reason::TooLarge), fixture.calls.get() as u64 - 1, "{version:?}");
        calls.push(fixture.calls.get());
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
async fn bodies_over_the_cap_come_through_unchanged() {
    limited(async {
        for length in [CAP + 1, 3_000_000] {
            ten_clients(&pattern(length), streamed).await;
            ten_clients(&pattern(length), |whole| Body::from(whole.clone())).await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_leader_streams_the_rest_over_the_cap() {
    limited(async {
        for version in Version::BOTH {
            let fixture = capped();
            fixture.gate.open();
            let second_half = Gate::new();
            let gate = second_half.clone();
            let server = Server::start(fixture.router(move |_| {
                let gate = gate.clone();
                let late = stream::once(async move {
                    gate.pass().await;
                    Ok::<_, io::Error>(pattern(5))
                });
                Body::from_stream(stream::iter([Ok(pattern(CAP)), Ok(pattern(CAP))]).chain(late))
            }))
            .await;
            let mut response = version.client().get(server.url("/a")).send().await.unwrap();
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
async fn a_content_length_over_the_cap_is_not_collected() {
    limited(async {
        let fixture = capped();
        // A body that never yields: a caller that collects it hangs.
        let router = fixture.router(|_| {
            let headers = [(header::CONTENT_LENGTH, (CAP + 1).to_string())];
            (headers, Body::from_stream(stream::pending::<io::Result<Bytes>>()))
        });
        let tasks = [(); 2].map(|()| tokio::spawn(tower::ServiceExt::oneshot(router.clone(), get_request("/a", &[]))));
        fixture.until(|stats| stats.waiters == 2).await;
        fixture.gate.open();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap().status(), 200);
        }
        assert_eq!((fixture.calls.get(), fixture.layer.passes().total()), (1, 0));
    })
    .await;
}

/// A body of unknown size in two chunks, under a head that announces these lengths.
fn announced<const N: usize>(lengths: [&'static str; N], body: [&'static str; 2]) -> Response<Body> {
    let body = Body::from_stream(stream::iter(body.map(Ok::<_, io::Error>)));
    let mut response = Response::new(body);
    for length in lengths {
        response.headers_mut().append(header::CONTENT_LENGTH, HeaderValue::from_static(length));
    }
    response
}

/// Checks what two clients of one flight get.
async fn two_clients<R: IntoResponse>(
    version: Version,
    respond: impl Fn(usize) -> R + Clone + Send + Sync + 'static,
    expected: (StatusCode, &'static str),
) {
    let fixture = capped();
    let server = Server::start(fixture.router(respond)).await;
    let tasks = [(); 2].map(|()| {
        let (client, url) = (version.client(), server.url("/a"));
        tokio::spawn(async move { fetch(&client, &url).await })
    });
    fixture.until(|stats| stats.waiters == 2).await;
    fixture.gate.open();
    for task in tasks {
        assert_eq!(task.await.unwrap(), (expected.0, Bytes::from(expected.1)), "{version:?}");
    }
    assert_eq!((fixture.calls.get(), fixture.layer.passes().total()), (1, 0), "{version:?}");
}

#[tokio::test]
async fn a_body_longer_than_its_head_says_is_cut() {
    limited(async {
        for version in Version::BOTH {
            two_clients(version, |_| announced(["5"], ["hel", "lo, world"]), (StatusCode::OK, "hello")).await;
            two_clients(version, |_| announced(["0"], ["hel", "lo, world"]), (StatusCode::OK, "")).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_longer_than_its_head_says_spares_the_next_response() {
    fn over_the_cap() -> String {
        "hello".repeat(CAP)
    }
    let bodies: [fn() -> Response<Body>; 4] = [
        || announced(["5"], ["hel", "lo, world"]),
        || announced(["5"], ["hello", over_the_cap().leak()]),
        // Of these, the size is known.
        || ([(header::CONTENT_LENGTH, "5")], "hello, world").into_response(),
        || ([(header::CONTENT_LENGTH, "5")], over_the_cap()).into_response(),
    ];
    limited(async {
        for (index, body) in bodies.into_iter().enumerate() {
            let fixture = capped();
            fixture.gate.open();
            let server = Server::start(fixture.router(move |_| body())).await;
            let mut connection = TcpStream::connect(server.url("").trim_start_matches("http://")).await.unwrap();
            let requests = "GET /a HTTP/1.1\r\nhost: a.example\r\n\r\n\
                GET /b HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n";
            connection.write_all(requests.as_bytes()).await.unwrap();
            let mut received = String::new();
            connection.read_to_string(&mut received).await.unwrap();
            let responses: Vec<_> = received.split("HTTP/1.1 200 OK\r\n").skip(1).collect();
            assert_eq!(responses.len(), 2, "{index}: {received:?}");
            for response in responses {
                assert!(response.ends_with("\r\n\r\nhello"), "{index}: {response:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_shorter_than_its_head_says_is_a_502() {
    limited(async {
        let failed = (StatusCode::BAD_GATEWAY, "Bad Gateway");
        for version in Version::BOTH {
            two_clients(version, |_| announced(["5"], ["hel", "l"]), failed).await;
            two_clients(version, |_| announced(["5"], ["", ""]), failed).await;
        }
        let fixture = capped();
        fixture.gate.open();
        let router = fixture.router(|_| announced(["5"], ["hel", "l"]));
        let response = crate::support::send(&router, get_request("/a", &[])).await;
        let error = response.extensions().get::<SharedError<()>>().expect("the error");
        assert_eq!(error.to_string(), "the body is shorter than its `Content-Length`");
    })
    .await;
}

#[tokio::test]
async fn a_body_of_contradictory_lengths_is_a_502() {
    async fn get(lengths: [&'static str; 2]) -> (StatusCode, Bytes) {
        let fixture = capped();
        fixture.gate.open();
        let router = fixture.router(move |_| announced(lengths, ["hel", "lo"]));
        let response = limited(crate::support::send(&router, get_request("/a", &[]))).await;
        (response.status(), response.into_body())
    }
    for lengths in [["5", "7"], ["5", "five"], ["+5", "5"], ["5, 7", "5"], ["", "5"], ["5", "99999999999999999999"]] {
        assert_eq!(get(lengths).await.0, StatusCode::BAD_GATEWAY, "{lengths:?}");
    }
    // The same length twice is no contradiction (RFC 9110, section 8.6).
    for lengths in [["5", "5"], ["5, 5", "5"]] {
        assert_eq!(get(lengths).await, (StatusCode::OK, Bytes::from("hello")), "{lengths:?}");
    }
}

#[tokio::test]
async fn a_response_that_has_no_body_keeps_its_length() {
    for (status, length) in [(StatusCode::NOT_MODIFIED, "1000"), (StatusCode::NO_CONTENT, "5")] {
        let fixture = Fixture::with(|layer| layer.key_by(|_| Some("")));
        let router = fixture.router(move |_| (status, [(header::CONTENT_LENGTH, length)]));
        let requests = [(); 2].map(|()| get_request("/a", &[("if-none-match", "\"1\"")]));
        for response in limited(fixture.send_all(&router, requests, 2)).await {
            assert_eq!(
                (response.status(), &response.headers()[header::CONTENT_LENGTH]),
                (status, &length.parse().unwrap())
            );
        }
        assert_eq!(fixture.calls.get(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_head_response_ignores_its_content_length() {
    limited(async {
        for version in Version::BOTH {
            let fixture = capped();
            let server =
                Server::start(fixture.router(|_| ([(header::CONTENT_LENGTH, "1000000")], Body::empty()))).await;
            let tasks = [(); 2].map(|()| {
                let request = version.client().head(server.url("/a"));
                tokio::spawn(request.send())
            });
            fixture.until(|stats| stats.waiters == 2).await;
            fixture.gate.open();
            for task in tasks {
                assert_eq!(task.await.unwrap().unwrap().headers()[header::CONTENT_LENGTH], "1000000", "{version:?}");
            }
            assert_eq!((fixture.calls.get(), fixture.layer.passes().total()), (1, 0), "{version:?}");
        }
    })
    .await;
}

fn with_trailers(length: usize) -> Response<Body> {
    let trailers = HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static("\"7\""))]);
    let body = streamed(&pattern(length)).with_trailers(async { Some(Ok(trailers)) });
    // Over HTTP/1.1, hyper sends trailers only if `Trailer` announces them and the length is unknown.
    ([(header::TRAILER, "etag")], Body::new(body)).into_response()
}

#[tokio::test]
async fn trailers_reach_all_callers() {
    limited(async {
        for (length, calls) in [(0, 1), (5, 1), (CAP + 1, 1)] {
            for version in Version::BOTH {
                let fixture = capped();
                let server = Server::start(fixture.router(move |_| with_trailers(length))).await;
                let tasks = [(); 2].map(|()| {
                    let request = version.client().get(server.url("/a")).header(header::TE, "trailers");
                    tokio::spawn(async move {
                        let response = Response::<reqwest::Body>::from(request.send().await.unwrap());
                        response.into_body().collect().await.unwrap()
                    })
                });
                fixture.until(|stats| stats.waiters == 2).await;
                fixture.gate.open();
                for body in join_all(tasks).await {
                    let body = body.unwrap();
                    let trailers =
                        body.trailers().unwrap_or_else(|| panic!("no trailers: {version:?}, {length} bytes"));
                    assert_eq!(trailers[header::ETAG], "\"7\"", "{version:?}, {length} bytes");
                    assert!(body.to_bytes() == pattern(length), "{version:?}, {length} bytes");
                }
                assert_eq!(fixture.calls.get(), calls, "{version:?}, {length} bytes");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn shared_bytes_are_not_copied() {
    limited(async {
        let fixture = Fixture::new();
        let content = pattern(5_000);
        let served = content.clone();
        let router = fixture.router(move |_| served.clone());
        for response in fixture.send_all(&router, [(); 3].map(|()| get_request("/a", &[])), 3).await {
            assert_eq!(response.body().as_ptr(), content.as_ptr());
        }
    })
    .await;
}

#[tokio::test]
async fn head_of_a_get_route_keeps_its_length() {
    limited(async {
        let fixture = capped();
        let router: Router = Router::new().route("/a", get(async || "text")).layer(fixture.layer.clone());
        let request = Request::head("/a").body(Body::empty()).unwrap();
        let response = crate::support::send(&router, request).await;
        assert_eq!(response.body(), "");
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "4");
    })
    .await;
}

#[test]
fn a_default_body_is_empty() {
    assert!(http_body::Body::is_end_stream(&CoalescedBody::<Body>::default()));
}
