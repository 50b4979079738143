//! What the layer's user decides: keys of their own, bodies in the key, private responses.

use std::io;

use axum::{
    Router,
    body::Body,
    http::Method,
    routing::{any, get},
};
use bytes::Bytes;
use futures::{future::join_all, stream};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header, request::Parts};
use http_body_util::BodyExt;
use shardflight::tower::{ReadBodyLayer, Reason};

use crate::{
    checks::{agree, differ, pass},
    support::{Fixture, Server, Version, get_request, limited, texts},
};

const CAP: usize = 1_000;

/// The parameters in their order by name.
fn sorted(parts: &Parts) -> Option<String> {
    let mut parameters: Vec<_> = parts.uri.query()?.split('&').collect();
    parameters.sort_unstable();
    Some(parameters.join("&"))
}

fn keyed() -> Fixture {
    Fixture::with(|layer| layer.key_by(sorted))
}

#[tokio::test]
async fn an_own_key_stands_for_the_query() {
    agree(keyed(), get_request("/a?x=1&y=2", &[]), get_request("/a?y=2&x=1", &[])).await;
    differ(keyed(), get_request("/a?x=1&y=2", &[]), get_request("/a?y=2&x=2", &[])).await;
    // `None`, and an empty key.
    differ(keyed(), get_request("/a", &[]), get_request("/a?", &[])).await;
}

#[tokio::test]
async fn an_own_key_replaces_nothing_else() {
    let constant = || Fixture::with(|layer| layer.key_by(|_| Some("one for all")));
    agree(constant(), get_request("/a?1", &[]), get_request("/a?2", &[])).await;
    differ(constant(), get_request("/a", &[]), get_request("/b", &[])).await;
    differ(constant(), get_request("http://a.example/a", &[]), get_request("http://b.example/a", &[])).await;
    differ(constant(), get_request("/a", &[("x-a", "1")]), get_request("/a", &[("x-a", "2")])).await;
    pass(&constant(), Reason::Credentials, || get_request("/a", &[("authorization", "a")])).await;
    pass(&constant(), Reason::Upgrade, || get_request("/a", &[("upgrade", "websocket")])).await;
    pass(&constant(), Reason::RequestCacheControl, || get_request("/a", &[("cache-control", "no-cache")])).await;
    pass(&constant(), Reason::RequestBody, || Request::get("/a").body(Body::from("text")).unwrap()).await;
}

/// Two requests to a handler for all methods. Returns the number of calls.
async fn calls(fixture: &Fixture, requests: [Request<Body>; 2]) -> usize {
    let Fixture { gate, calls, layer, .. } = fixture.clone();
    let handler = async move |body: Bytes| {
        calls.up();
        gate.pass().await;
        body
    };
    let router = Router::new().route("/a", any(handler)).layer(layer).layer(ReadBodyLayer::new(CAP));
    let sent = requests.len();
    let passes = fixture.layer.passes();
    let tasks = requests.map(|request| tokio::spawn(crate::support::send(&router, request)));
    limited(async {
        fixture.until(|stats| stats.waiters as u64 + passes.total() == sent as u64).await;
        fixture.gate.open();
        for response in join_all(tasks).await {
            assert_eq!(response.unwrap().status(), StatusCode::OK);
        }
    })
    .await;
    fixture.calls.get()
}

fn request(method: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder().method(method).uri("/a?x").body(body.into()).unwrap()
}

#[tokio::test]
async fn only_methods_that_may_read_join() {
    for (method, joins) in [("POST", true), ("QUERY", true), ("PUT", false), ("DELETE", false), ("PATCH", false)] {
        let fixture = keyed();
        let seen = calls(&fixture, [request(method, ""), request(method, "")]).await;
        assert_eq!((seen, fixture.passes(Reason::Method)), if joins { (1, 0) } else { (2, 2) }, "{method}");
    }
    assert_eq!(calls(&keyed(), [request("POST", ""), request("QUERY", "")]).await, 2);
    let overridden = || {
        let mut request = request("POST", "");
        request.headers_mut().insert("x-http-method-override", HeaderValue::from_static("DELETE"));
        request
    };
    assert_eq!(calls(&keyed(), [overridden(), overridden()]).await, 2);
    assert_eq!(calls(&Fixture::new(), [request("POST", ""), request("POST", "")]).await, 2);
}

fn streamed<const N: usize>(pieces: [&'static str; N]) -> Body {
    Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, io::Error>)))
}

#[tokio::test]
async fn a_body_that_was_read_is_in_the_key() {
    let post = |body: &'static str| request("POST", body);
    assert_eq!(calls(&keyed(), [post("text"), post("text")]).await, 1);
    assert_eq!(calls(&keyed(), [post("text"), post("Text")]).await, 2);
    assert_eq!(calls(&keyed(), [post("text"), post("")]).await, 2);
    let expecting = || {
        let mut request = post("text");
        request.headers_mut().insert(header::EXPECT, HeaderValue::from_static("100-continue"));
        request
    };
    assert_eq!(calls(&keyed(), [post("text"), expecting()]).await, 2);
    // Without a key of the user's.
    let fixture = Fixture::new();
    assert_eq!(calls(&fixture, [request("GET", "text"), request("GET", "text")]).await, 2);
    assert_eq!(fixture.passes(Reason::RequestBody), 2);
}

#[tokio::test]
async fn a_body_of_unknown_length_is_not_waited_for() {
    limited(async {
        let fixture = keyed();
        let layer = fixture.layer.clone();
        let handler = async |request: Request<Body>| drop(request);
        let router = Router::new().route("/a", any(handler)).layer(layer).layer(ReadBodyLayer::new(CAP));
        let endless = Body::from_stream(stream::pending::<io::Result<bytes::Bytes>>());
        assert_eq!(crate::support::send(&router, request("POST", endless)).await.status(), StatusCode::OK);
        assert_eq!(fixture.passes(Reason::RequestBody), 1);
    })
    .await;
}

#[tokio::test]
async fn other_bodies_pass_through_unchanged() {
    fn echo() -> Router {
        let handler = async |request: Request<Body>| match request.into_body().collect().await {
            Ok(body) => {
                let etag = body.trailers().and_then(|trailers| trailers.get(header::ETAG)).cloned();
                (etag.map(|etag| [(header::ETAG, etag)]), body.to_bytes()).into_response()
            }
            Err(error) => error.to_string().into_response(),
        };
        Router::new().route("/a", any(handler))
    }
    use axum::response::IntoResponse;

    let large = |length: usize| "x".repeat(length);
    let piece: &'static str = large(CAP).leak();
    let trailers = HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static("\"7\""))]);
    let failing = Body::from_stream(stream::iter([Ok("text"), Err(io::Error::other("the client is gone"))]));
    let cases = [
        (Body::from(large(CAP)), Some(large(CAP)), 0),
        (Body::from(large(CAP + 1)), Some(large(CAP + 1)), 1),
        (streamed([piece, "y", "z"]), Some(large(CAP) + "yz"), 1),
        (Body::new(streamed(["text"]).with_trailers(async { Some(Ok(trailers)) })), Some("text".to_string()), 1),
        (failing, None, 1),
    ];
    for (index, (body, expected, passes)) in cases.into_iter().enumerate() {
        let fixture = keyed();
        let router = echo().layer(fixture.layer.clone()).layer(ReadBodyLayer::new(CAP));
        let response = limited(crate::support::send(&router, request("POST", body))).await;
        match expected {
            Some(expected) => assert_eq!(response.body(), expected.as_bytes(), "{index}"),
            None => assert!(texts(std::slice::from_ref(&response))[0].contains("the client is gone"), "{index}"),
        }
        assert_eq!(response.headers().contains_key(header::ETAG), index == 3, "{index}");
        assert_eq!(fixture.passes(Reason::RequestBody), passes, "{index}");
    }
}

/// A handler that forwards each request with another body of the same length, through a client with a layer of its own.
#[tokio::test]
async fn a_forwarded_request_has_no_key_of_the_body_before() {
    let by_body = || Fixture::with(|layer| layer.key_by(|_| Some("")));
    // One whose requests lead flights, and one that passes them through.
    for outer in [by_body(), Fixture::new()] {
        let inner = by_body();
        let Fixture { gate, calls, layer, .. } = inner.clone();
        let echo = async move |body: Bytes| {
            calls.up();
            gate.pass().await;
            body
        };
        let client = Router::new().route("/a", any(echo)).layer(layer);
        let forward = async move |request: Request<Body>| {
            let (mut parts, _) = request.into_parts();
            let user = parts.headers.remove("x-user").expect("a user");
            let user = Bytes::copy_from_slice(user.as_bytes());
            crate::support::send(&client, Request::from_parts(parts, Body::from(user))).await.map(Body::from)
        };
        let router = Router::new().route("/a", any(forward)).layer(outer.layer).layer(ReadBodyLayer::new(CAP));
        let tasks = ["42", "43"].map(|user| {
            let mut request = request("POST", "me");
            request.headers_mut().insert("x-user", HeaderValue::from_static(user));
            tokio::spawn(crate::support::send(&router, request))
        });
        limited(async {
            let passes = inner.layer.passes();
            inner.until(|stats| stats.waiters as u64 + passes.total() == 2).await;
            inner.gate.open();
            for (task, user) in tasks.into_iter().zip(["42", "43"]) {
                assert_eq!(task.await.unwrap().body(), user);
            }
        })
        .await;
        assert_eq!(inner.passes(Reason::RequestBody), 2);
    }
}

#[tokio::test]
async fn posts_over_sockets_share_a_call() {
    limited(async {
        for version in Version::BOTH {
            let fixture = Fixture::with(|layer| layer.key_by(|parts| (parts.method == Method::POST).then_some("")));
            let Fixture { gate, calls, layer, .. } = fixture.clone();
            let handler = async move |query: String| {
                calls.up();
                gate.pass().await;
                format!("what matches {query}")
            };
            let router = Router::new().route("/search", any(handler)).layer(layer).layer(ReadBodyLayer::new(CAP));
            let server = Server::start(router).await;
            let queries = ["one", "two", "one", "two"];
            let tasks =
                queries.map(|query| tokio::spawn(version.client().post(server.url("/search")).body(query).send()));
            fixture.until(|stats| stats.waiters == 4).await;
            fixture.gate.open();
            for (task, query) in tasks.into_iter().zip(queries) {
                let text = task.await.unwrap().unwrap().text().await.unwrap();
                assert_eq!(text, format!("what matches {query}"), "{version:?}");
            }
            assert_eq!(fixture.calls.get(), 2, "{version:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn ranges_and_conditions_join_with_an_own_key() {
    for (name, status) in [
        ("range", StatusCode::PARTIAL_CONTENT),
        ("if-none-match", StatusCode::NOT_MODIFIED),
        ("if-modified-since", StatusCode::NOT_MODIFIED),
    ] {
        for configure in [0, 1, 2] {
            let fixture = || {
                Fixture::with(|layer| match configure {
                    0 => layer.key_by(sorted),
                    // In the key all the same: responses depend on them.
                    1 => layer.key_by(sorted).ignore([name]),
                    _ => layer.key_by(sorted).only([header::ACCEPT]),
                })
            };
            let request = |value| get_request("/a?x", &[(name, value)]);
            differ(fixture(), request("1"), request("2")).await;
            differ(fixture(), request("1"), get_request("/a?x", &[])).await;
            let fixture = fixture();
            let router = fixture.router(move |_| status);
            let responses = limited(fixture.send_all(&router, [request("1"), request("1")], 2)).await;
            assert!(responses.iter().all(|response| response.status() == status), "{name}");
            assert_eq!((fixture.calls.get(), fixture.layer.passes().total()), (1, 0), "{name}");
        }
    }
    pass(&keyed(), Reason::Range, || get_request("/a", &[("range", "bytes=0-1")])).await;
}

#[tokio::test]
async fn private_responses_are_shared_within_a_principal() {
    let by_user = || {
        Fixture::with(|layer| {
            layer.principal(|parts| parts.headers.get(header::AUTHORIZATION).cloned()).share_private_within_principal()
        })
    };
    for (response, calls) in [
        ((header::CACHE_CONTROL, "private, max-age=5"), 2),
        ((header::CACHE_CONTROL, "private, no-store"), 3),
        ((header::CACHE_CONTROL, "no-cache"), 3),
        ((header::SET_COOKIE, "session=1"), 3),
    ] {
        let fixture = by_user();
        let router = fixture.router(move |call| ([response.clone()], call.to_string()));
        let requests = ["alice", "alice", "bob"].map(|user| get_request("/a", &[("authorization", user)]));
        let responses = limited(fixture.send_all(&router, requests, 3)).await;
        assert_eq!(fixture.calls.get(), calls, "{responses:?}");
        assert_ne!(responses[0].body(), responses[2].body());
    }
    // Without a principal, a private response is nobody else's.
    let fixture = by_user();
    let router: Router = Router::new().route("/a", get(async || ([(header::CACHE_CONTROL, "private")], "text")));
    let router = router.layer(fixture.layer.clone());
    limited(crate::support::send(&router, get_request("/a", &[]))).await;
    assert_eq!(fixture.passes(Reason::ResponseCacheControl), 1);
}
