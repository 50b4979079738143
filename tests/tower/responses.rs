//! Which responses are shared, and which go to their leader only.

use axum::response::IntoResponse;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use shardflight::tower::Reason;

use crate::support::{Fixture, get_request, limited, texts};

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

/// Checks that three callers of one flight each get a response of their own.
async fn not_shared(fixture: Fixture, reason: Reason, head: Head) {
    let what = format!("{head:?}");
    let router = fixture.router(respond(head));
    let responses = limited(fixture.send_all(&router, [(); 3].map(|()| get_request("/a", &[])), 3)).await;
    let mut seen = texts(&responses);
    seen.sort_unstable();
    assert_eq!(fixture.calls.get(), 3, "{what}");
    // A 304 has no body.
    if responses[0].status() != StatusCode::NOT_MODIFIED {
        assert_eq!(seen, ["1", "2", "3"], "{what}");
    }
    assert_eq!(fixture.passes(reason), 3, "{what}");
    assert_eq!(fixture.layer.passes().total(), 3, "{what}");
}

/// Checks that three callers of one flight share a response.
async fn shared(fixture: Fixture, head: Head) {
    let what = format!("{head:?}");
    let router = fixture.router(respond(head.clone()));
    let responses = limited(fixture.send_all(&router, [(); 3].map(|()| get_request("/a", &[])), 3)).await;
    assert_eq!((fixture.calls.get(), fixture.layer.passes().total()), (1, 0), "{what}");
    for response in responses {
        assert_eq!(response.status(), head.0, "{what}");
        for (name, value) in &head.1 {
            assert_eq!(response.headers()[*name], value, "{what}");
        }
    }
}

#[tokio::test]
async fn client_specific_statuses_are_not_shared() {
    for status in [206, 304, 400, 401, 403, 406, 407, 421, 425, 429, 431, 505, 511] {
        let status = StatusCode::from_u16(status).unwrap();
        not_shared(Fixture::new(), Reason::Status, (status, vec![])).await;
    }
}

#[tokio::test]
async fn other_statuses_are_shared() {
    for status in [200, 203, 204, 301, 302, 307, 404, 405, 408, 410, 414, 451, 500, 502, 503] {
        shared(Fixture::new(), (StatusCode::from_u16(status).unwrap(), vec![])).await;
    }
}

#[tokio::test]
async fn cookies_are_not_shared() {
    not_shared(Fixture::new(), Reason::SetCookie, (StatusCode::OK, vec![("set-cookie", "session=1")])).await;
}

#[tokio::test]
async fn private_responses_are_not_shared() {
    for value in [
        "private",
        "max-age=60, Private",
        "private=\"x-user\"",
        "no-store",
        "no-cache",
        "public, no-cache",
        // Not the separator of directives, but it occurs.
        "max-age=0; private",
        "public;no-store",
        "max-age=0;, No-Cache",
    ] {
        not_shared(Fixture::new(), Reason::ResponseCacheControl, (StatusCode::OK, vec![("cache-control", value)]))
            .await;
    }
    shared(Fixture::new(), (StatusCode::OK, vec![("cache-control", "public, max-age=0, must-revalidate")])).await;
}

#[tokio::test]
async fn private_is_not_shared_within_a_principal() {
    let fixture = Fixture::with(|layer| layer.principal(|_| Some("one for all")));
    not_shared(fixture, Reason::ResponseCacheControl, (StatusCode::OK, vec![("cache-control", "private")])).await;
}

#[tokio::test]
async fn event_streams_are_not_shared() {
    for value in ["text/event-stream", "Text/Event-Stream; charset=utf-8", "multipart/x-mixed-replace; boundary=x"] {
        not_shared(Fixture::new(), Reason::Streaming, (StatusCode::OK, vec![("content-type", value)])).await;
    }
}

#[tokio::test]
async fn share_if_vetoes_responses() {
    let fixture = Fixture::with(|layer| layer.share_if(|parts| !parts.headers.contains_key("x-mine")));
    not_shared(fixture, Reason::ResponseVetoed, (StatusCode::OK, vec![("x-mine", "yes")])).await;
}

#[tokio::test]
async fn connection_headers_are_removed() {
    #[derive(Clone, Debug, PartialEq)]
    struct Note(&'static str);
    let fixture = Fixture::new();
    let router = fixture.router(|_| {
        let headers = [("connection", "x-lease"), ("x-lease", "1"), ("keep-alive", "timeout=5"), ("etag", "\"1\"")];
        let mut response = (headers, "text").into_response();
        response.extensions_mut().insert(Note("from the handler"));
        response
    });
    for response in limited(fixture.send_all(&router, [(); 2].map(|()| get_request("/a", &[])), 2)).await {
        assert_eq!(response.headers()["etag"], "\"1\"");
        assert_eq!(response.extensions().get::<Note>(), Some(&Note("from the handler")));
        for name in ["connection", "x-lease", "keep-alive"] {
            assert!(!response.headers().contains_key(name), "{name}");
        }
    }
    assert_eq!(fixture.calls.get(), 1);
}
