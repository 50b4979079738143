//! Which responses are shared, and which are their leader's alone.

use axum::response::IntoResponse;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use shardflight::tower::Reason;

use crate::support::{Stage, ask, limited, texts};

type Head = (StatusCode, Vec<(&'static str, &'static str)>);

fn respond((status, headers): Head) -> impl Fn(usize) -> axum::response::Response + Clone + Send + Sync + 'static {
    move |call| {
        let named = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let headers: HeaderMap = headers.iter().map(named).collect();
        (status, headers, call.to_string()).into_response()
    }
}

/// Three callers of one flight, each of whom has to get a response of its own.
async fn alone(stage: Stage, reason: Reason, head: Head) {
    let what = format!("{head:?}");
    let router = stage.router(respond(head));
    let responses = limited(stage.play(&router, [(); 3].map(|()| ask("/a", &[])), 3)).await;
    let mut seen = texts(&responses);
    seen.sort_unstable();
    assert_eq!(stage.calls.get(), 3, "{what}");
    // The body is kept from none but those whose status allows of none.
    if responses[0].status() != StatusCode::NOT_MODIFIED {
        assert_eq!(seen, ["1", "2", "3"], "{what}");
    }
    assert_eq!(stage.passes(reason), 3, "{what}");
    assert_eq!(stage.layer.passes().total(), 3, "{what}");
}

async fn shared(stage: Stage, head: Head) {
    let what = format!("{head:?}");
    let router = stage.router(respond(head.clone()));
    let responses = limited(stage.play(&router, [(); 3].map(|()| ask("/a", &[])), 3)).await;
    assert_eq!((stage.calls.get(), stage.layer.passes().total()), (1, 0), "{what}");
    for response in responses {
        assert_eq!(response.status(), head.0, "{what}");
        for (name, value) in &head.1 {
            assert_eq!(response.headers()[*name], value, "{what}");
        }
    }
}

#[tokio::test]
async fn statuses_that_nobody_else_asked_for_or_earned_are_their_requesters_own() {
    for status in [206, 304, 400, 401, 403, 406, 407, 408, 421, 425, 429, 431, 505, 511] {
        let status = StatusCode::from_u16(status).unwrap();
        alone(Stage::new(), Reason::Status, (status, vec![])).await;
    }
}

#[tokio::test]
async fn other_statuses_are_shared_failures_included() {
    for status in [200, 203, 204, 301, 302, 307, 404, 405, 410, 414, 451, 500, 502, 503] {
        shared(Stage::new(), (StatusCode::from_u16(status).unwrap(), vec![])).await;
    }
}

#[tokio::test]
async fn a_cookie_is_set_for_one() {
    alone(Stage::new(), Reason::SetCookie, (StatusCode::OK, vec![("set-cookie", "session=1")])).await;
}

#[tokio::test]
async fn what_says_that_it_is_private_is_private() {
    for value in ["private", "max-age=60, Private", "private=\"x-user\"", "no-store", "no-cache", "public, no-cache"] {
        alone(Stage::new(), Reason::ResponseCacheControl, (StatusCode::OK, vec![("cache-control", value)])).await;
    }
    shared(Stage::new(), (StatusCode::OK, vec![("cache-control", "public, max-age=0, must-revalidate")])).await;
}

#[tokio::test]
async fn what_is_private_stays_so_for_a_principal() {
    let stage = Stage::with(|layer| layer.principal(|_| Some("one for all")));
    alone(stage, Reason::ResponseCacheControl, (StatusCode::OK, vec![("cache-control", "private")])).await;
}

#[tokio::test]
async fn what_varies_with_an_unnamed_header_is_not_shared() {
    for value in ["*", "accept-language", "origin, accept-language", "accept, *"] {
        let stage = Stage::with(|layer| layer.vary([header::ACCEPT]));
        alone(stage, Reason::Vary, (StatusCode::OK, vec![("vary", value)])).await;
    }
}

#[tokio::test]
async fn what_varies_with_what_is_in_the_key_is_shared() {
    for value in ["Accept", "origin, access-control-request-method, access-control-request-headers", "accept, Host"] {
        let stage = Stage::with(|layer| layer.vary([header::ACCEPT]));
        shared(stage, (StatusCode::OK, vec![("vary", value)])).await;
    }
}

#[tokio::test]
async fn a_stream_of_events_is_not_waited_for() {
    for value in ["text/event-stream", "Text/Event-Stream; charset=utf-8", "multipart/x-mixed-replace; boundary=x"] {
        alone(Stage::new(), Reason::Streaming, (StatusCode::OK, vec![("content-type", value)])).await;
    }
}

#[tokio::test]
async fn a_veto_keeps_responses_apart() {
    let stage = Stage::with(|layer| layer.share_if(|parts| !parts.headers.contains_key("x-mine")));
    alone(stage, Reason::ResponseVetoed, (StatusCode::OK, vec![("x-mine", "yes")])).await;
}

#[tokio::test]
async fn headers_and_extensions_are_shared_and_what_belongs_to_the_connection_is_not() {
    #[derive(Clone, Debug, PartialEq)]
    struct Note(&'static str);
    let stage = Stage::new();
    let router = stage.router(|_| {
        let headers = [("connection", "x-lease"), ("x-lease", "1"), ("keep-alive", "timeout=5"), ("etag", "\"1\"")];
        let mut response = (headers, "text").into_response();
        response.extensions_mut().insert(Note("from the handler"));
        response
    });
    for response in limited(stage.play(&router, [(); 2].map(|()| ask("/a", &[])), 2)).await {
        assert_eq!(response.headers()["etag"], "\"1\"");
        assert_eq!(response.extensions().get::<Note>(), Some(&Note("from the handler")));
        for name in ["connection", "x-lease", "keep-alive"] {
            assert!(!response.headers().contains_key(name), "{name}");
        }
    }
    assert_eq!(stage.calls.get(), 1);
}
