//! Responses that vary on headers outside of the key.

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use shardflight::tower::Reason;

use crate::support::{Fixture, get_request, limited, texts};

type Sent = &'static [(&'static str, &'static str)];

/// Ignores the headers by which these responses are chosen.
fn ignoring() -> Fixture {
    Fixture::with(|layer| layer.ignore([header::ACCEPT_ENCODING, header::ACCEPT_LANGUAGE]).ignore(["x-a", "x-b"]))
}

fn respond(headers: Sent) -> impl Fn(usize) -> (HeaderMap, String) + Clone + Send + Sync + 'static {
    move |call| {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        (headers.collect(), call.to_string())
    }
}

/// Sends a leader and then two equal followers. Returns the number of calls.
async fn calls(fixture: &Fixture, response: Sent, leader: Sent, follower: Sent) -> usize {
    let router = fixture.router(respond(response));
    let send = |request: Request<Body>| tokio::spawn(crate::support::send(&router, request));
    limited(async {
        let leading = send(get_request("/a", leader));
        fixture.until(|stats| stats.waiters == 1).await;
        let following = [(); 2].map(|()| send(get_request("/a", follower)));
        fixture.until(|stats| stats.waiters == 3).await;
        assert_eq!(fixture.handle.stats().await.unwrap().flights, 1);
        fixture.gate.open();
        assert_eq!(leading.await.unwrap().body(), "1");
        let mut bodies = Vec::new();
        for task in following {
            bodies.push(task.await.unwrap());
        }
        let shared = texts(&bodies).iter().filter(|body| **body == "1").count();
        assert_eq!(fixture.passes(Reason::Vary), 2 - shared as u64);
        assert_eq!(fixture.layer.passes().total(), 2 - shared as u64);
    })
    .await;
    fixture.calls.get()
}

#[tokio::test]
async fn vary_is_compared_with_the_followers_request() {
    let cases: [(Sent, Sent, usize); 9] = [
        (&[], &[], 1),
        (&[("x-a", "1")], &[("x-a", "1")], 1),
        (&[("x-a", "1"), ("x-a", "2")], &[("x-a", "1"), ("x-a", "2")], 1),
        (&[("x-a", "1")], &[("x-a", "2")], 3),
        (&[("x-a", "1")], &[], 3),
        (&[], &[("x-a", "1")], 3),
        (&[], &[("x-a", "")], 3),
        (&[("x-a", "1"), ("x-a", "2")], &[("x-a", "2"), ("x-a", "1")], 3),
        // The response doesn't depend on it.
        (&[("x-b", "1")], &[("x-b", "2")], 1),
    ];
    for (leader, follower, expected) in cases {
        let seen = calls(&ignoring(), &[("vary", "Accept, X-A")], leader, follower).await;
        assert_eq!(seen, expected, "{leader:?}, {follower:?}");
    }
}

#[tokio::test]
async fn repeated_vary_headers_all_count() {
    let vary = &[("vary", "accept-language"), ("vary", ", X-a ,")];
    assert_eq!(calls(&ignoring(), vary, &[("x-a", "1")], &[("x-a", "2")]).await, 3);
    assert_eq!(calls(&ignoring(), vary, &[("accept-language", "en")], &[("accept-language", "de")]).await, 3);
    assert_eq!(calls(&ignoring(), vary, &[("x-b", "1")], &[("x-b", "2")]).await, 1);
}

#[tokio::test]
async fn headers_ignored_by_default_are_compared() {
    for name in ["user-agent", "x-forwarded-for", "sec-ch-ua-mobile", "forwarded"] {
        let vary: Sent = Box::leak(Box::new([("vary", name)]));
        let sent = |value| -> Sent { Box::leak(Box::new([(name, value)])) };
        assert_eq!(calls(&Fixture::new(), vary, sent("for=1"), sent("for=2")).await, 3, "{name}");
        assert_eq!(calls(&Fixture::new(), vary, sent("for=1"), sent("for=1")).await, 1, "{name}");
    }
}

#[tokio::test]
async fn an_encoded_response_goes_to_clients_that_asked_alike() {
    let gzip = &[("content-encoding", "gzip")];
    assert_eq!(calls(&ignoring(), gzip, &[("accept-encoding", "gzip")], &[]).await, 3);
    assert_eq!(calls(&ignoring(), gzip, &[("accept-encoding", "gzip")], &[("accept-encoding", "br")]).await, 3);
    assert_eq!(calls(&ignoring(), gzip, &[("accept-encoding", "gzip")], &[("accept-encoding", "gzip")]).await, 1);
    assert_eq!(calls(&ignoring(), &[], &[("accept-encoding", "gzip")], &[]).await, 1);
}

#[tokio::test]
async fn a_response_in_a_language_goes_to_clients_that_asked_alike() {
    let german = &[("content-language", "de"), ("vary", "accept")];
    assert_eq!(calls(&ignoring(), german, &[("accept-language", "de")], &[("accept-language", "en")]).await, 3);
    assert_eq!(calls(&ignoring(), german, &[("accept-language", "de")], &[]).await, 3);
    assert_eq!(calls(&ignoring(), german, &[("accept-language", "de")], &[("accept-language", "de")]).await, 1);
}

/// `Age` shows that a cache below read the request's `Cache-Control`.
#[tokio::test]
async fn a_cached_response_goes_to_clients_that_asked_for_the_same_age() {
    let aged = &[("age", "100")];
    let (fresh, stale): (Sent, Sent) = (&[("cache-control", "max-age=0")], &[("cache-control", "max-stale")]);
    assert_eq!(calls(&Fixture::new(), aged, &[], fresh).await, 3);
    assert_eq!(calls(&Fixture::new(), aged, stale, &[]).await, 3);
    assert_eq!(calls(&Fixture::new(), aged, stale, fresh).await, 3);
    assert_eq!(calls(&Fixture::new(), aged, stale, stale).await, 1);
    assert_eq!(calls(&Fixture::new(), aged, &[], &[]).await, 1);
    assert_eq!(calls(&Fixture::new(), &[], &[], fresh).await, 1);
}

#[tokio::test]
async fn vary_on_what_only_leaves_out_is_compared() {
    let fixture = || Fixture::with(|layer| layer.only([header::ACCEPT]));
    let vary = &[("vary", "x-a")];
    assert_eq!(calls(&fixture(), vary, &[("x-a", "1")], &[("x-a", "2")]).await, 3);
    assert_eq!(calls(&fixture(), vary, &[("x-a", "1")], &[("x-a", "1")]).await, 1);
    assert_eq!(calls(&fixture(), vary, &[("x-b", "1")], &[]).await, 1);
}

#[tokio::test]
async fn vary_on_a_cookie_counts_ignored_cookies() {
    let fixture = || Fixture::with(|layer| layer.ignore_cookies(["_ga"]));
    assert_eq!(calls(&fixture(), &[("vary", "Cookie")], &[("cookie", "_ga=1")], &[("cookie", "_ga=2")]).await, 3);
    assert_eq!(calls(&fixture(), &[], &[("cookie", "_ga=1")], &[("cookie", "_ga=2")]).await, 1);
}

#[tokio::test]
async fn vary_on_anything_is_shared_with_nobody() {
    for vary in ["*", "accept, *", "*, x-a", "two words"] {
        let fixture = Fixture::new();
        let router = fixture.router(move |call| ([(header::VARY, vary)], call.to_string()));
        let responses = limited(fixture.send_all(&router, [(); 3].map(|()| get_request("/a", &[])), 3)).await;
        let mut seen = texts(&responses);
        seen.sort_unstable();
        assert_eq!((seen, fixture.passes(Reason::Vary)), (vec!["1", "2", "3"], 3), "{vary}");
    }
}

#[tokio::test]
async fn vary_on_headers_in_the_key_is_shared() {
    for vary in ["Accept", "origin, access-control-request-method", "accept-language, Host, x-never-heard-of"] {
        let fixture = Fixture::new();
        let router = fixture.router(move |call| ([(header::VARY, vary)], call.to_string()));
        let headers = [("accept", "text/html"), ("accept-language", "de")];
        let responses = limited(fixture.send_all(&router, [(); 3].map(|()| get_request("/a", &headers)), 3)).await;
        assert_eq!(texts(&responses), ["1"; 3], "{vary}");
    }
}

/// Bodies over the cap are delivered as they arrive.
#[tokio::test]
async fn streamed_bodies_are_compared_too() {
    const LENGTH: usize = 100_000;
    for (follower, expected) in [("gzip", 1), ("br", 3)] {
        for announced in [true, false] {
            let fixture = Fixture::with(|layer| layer.ignore([header::ACCEPT_ENCODING]).max_body_bytes(1_000));
            let router = fixture.router(move |call| {
                let chunks = [(); 10].map(|()| Ok::<_, std::io::Error>(call.to_string().repeat(LENGTH / 10)));
                let body = if announced {
                    Body::from(call.to_string().repeat(LENGTH))
                } else {
                    Body::from_stream(futures::stream::iter(chunks))
                };
                ([(header::CONTENT_ENCODING, "gzip")], body)
            });
            let request = |encoding| get_request("/a", &[("accept-encoding", encoding)]);
            limited(async {
                let leading = tokio::spawn(crate::support::send(&router, request("gzip")));
                fixture.until(|stats| stats.waiters == 1).await;
                let following = [(); 2].map(|()| tokio::spawn(crate::support::send(&router, request(follower))));
                fixture.until(|stats| stats.waiters == 3).await;
                fixture.gate.open();
                assert!(leading.await.unwrap().body() == "1".repeat(LENGTH).as_bytes());
                for task in following {
                    let response = task.await.unwrap();
                    assert_eq!(response.body().len(), LENGTH);
                    assert_eq!(response.body().iter().all(|byte| *byte == b'1'), expected == 1, "{follower}");
                }
                assert_eq!((fixture.calls.get(), fixture.passes(Reason::Vary)), (expected, expected as u64 - 1));
            })
            .await;
        }
    }
}
