//! Which requests are identical, and which pass through.

use axum::{Router, body::Body, routing::any};
use http::{HeaderValue, Method, Request, header};
use shardflight::tower::{CoalesceLayer, Reason};

use crate::{
    checks::{agree, differ, pass},
    support::{Count, Fixture, Server, Version, eventually, fetch, get_request, limited, texts},
};

#[tokio::test]
async fn identical_requests_share_one_call() {
    limited(async {
        for version in Version::BOTH {
            let fixture = Fixture::new();
            let server = Server::start(fixture.router(|call| format!("call {call}"))).await;
            let tasks: Vec<_> = (0..20)
                .map(|_| {
                    // A connection each, as axum applies the layer per connection.
                    let (client, url) = (version.client(), server.url("/post?id=7"));
                    tokio::spawn(async move { fetch(&client, &url).await })
                })
                .collect();
            fixture.until(|stats| stats.waiters == 20).await;
            fixture.gate.open();
            for task in tasks {
                assert_eq!(task.await.unwrap().1, "call 1", "{version:?}");
            }
            assert_eq!((fixture.calls.get(), fixture.layer.passes().total()), (1, 0), "{version:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn target_and_method_are_in_the_key() {
    differ(Fixture::new(), get_request("/a", &[]), get_request("/b", &[])).await;
    differ(Fixture::new(), get_request("/a?x=1", &[]), get_request("/a?x=2", &[])).await;
    differ(Fixture::new(), get_request("http://one.example/a", &[]), get_request("http://two.example/a", &[])).await;
    differ(Fixture::new(), get_request("http://one.example/a", &[]), get_request("https://one.example/a", &[])).await;
    let fixture = Fixture::new();
    let router = fixture.router(|call| call.to_string());
    let head = Request::head("/a").body(Body::empty()).unwrap();
    limited(fixture.send_all(&router, [get_request("/a", &[]), head], 2)).await;
    assert_eq!(fixture.calls.get(), 2);
}

#[tokio::test]
async fn target_headers_are_in_the_key() {
    for name in ["host", "origin", "x-forwarded-host", "x-forwarded-proto", "x-original-url", "x-rewrite-url"] {
        differ(
            Fixture::new(),
            get_request("/a", &[(name, "one.example")]),
            get_request("/a", &[(name, "two.example")]),
        )
        .await;
        differ(Fixture::new(), get_request("/a", &[(name, "one.example")]), get_request("/a", &[])).await;
    }
    let one = get_request("/a", &[("forwarded", "for=192.0.2.1;host=one.example")]);
    differ(Fixture::new(), one, get_request("/a", &[("forwarded", "for=192.0.2.1;host=two.example")])).await;
}

#[tokio::test]
async fn forwarded_for_is_not_in_the_key() {
    let one = get_request("/a", &[("forwarded", "for=192.0.2.1;host=one.example")]);
    agree(Fixture::new(), one, get_request("/a", &[("forwarded", "for=192.0.2.2;host=one.example")])).await;
}

/// A service may read the first line only, as axum-extra's extractors do.
#[tokio::test]
async fn a_line_of_forwarded_without_a_target_keeps_its_place() {
    let request = |lines: &[&str]| {
        let headers: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
        get_request("/a", &headers)
    };
    differ(Fixture::new(), request(&["for=10.0.0.1", "host=b.example"]), request(&["host=b.example"])).await;
    differ(Fixture::new(), request(&["for=10.0.0.1", "host=b.example"]), request(&["host=b.example", "for=10.0.0.1"]))
        .await;
    agree(Fixture::new(), request(&["for=10.0.0.1", "host=b.example"]), request(&["for=10.0.0.2", "host=b.example"]))
        .await;
    agree(Fixture::new(), request(&["for=10.0.0.1", "by=10.0.0.2"]), request(&[])).await;
}

/// Of such a line, services read another target, or none.
#[tokio::test]
async fn a_client_in_forwarded_that_hides_the_target_is_in_the_key() {
    let values: [&[u8]; 6] =
        [b"for=\"x;", b"for=x\";", b"for=\"x\\\";", b"for=\"x\"y\";", b"for=\xff;", b"by=\"\xff\";"];
    for value in values {
        let hidden = [value, b"host=b.example"].concat();
        let mut one = get_request("/a", &[]);
        one.headers_mut().insert(header::FORWARDED, HeaderValue::from_bytes(&hidden).unwrap());
        differ(Fixture::new(), one, get_request("/a", &[("forwarded", "host=b.example")])).await;
    }
    let quoted = get_request("/a", &[("forwarded", "for=\"[2001:db8::1]:4711\";host=b.example")]);
    agree(Fixture::new(), quoted, get_request("/a", &[("forwarded", "host=b.example")])).await;
}

#[tokio::test]
async fn other_methods_pass_through() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS, Method::TRACE] {
        let request = || Request::builder().method(&method).uri("/a").body(Body::empty()).unwrap();
        pass(&Fixture::new(), Reason::Method, request).await;
    }
    pass(&Fixture::new(), Reason::Method, || get_request("/a", &[("x-http-method-override", "DELETE")])).await;
}

#[tokio::test]
async fn requests_with_bodies_pass_through() {
    let fixture = Fixture::new();
    pass(&fixture, Reason::RequestBody, || Request::get("/a").body(Body::from("text")).unwrap()).await;
    let stream = || Body::from_stream(futures::stream::iter([Ok::<_, std::io::Error>("text")]));
    pass(&fixture, Reason::RequestBody, || Request::get("/a").body(stream()).unwrap()).await;
    pass(&fixture, Reason::RequestBody, || get_request("/a", &[("content-length", "4")])).await;
    pass(&fixture, Reason::RequestBody, || get_request("/a", &[("transfer-encoding", "chunked")])).await;
}

#[tokio::test]
async fn a_content_length_of_zero_is_coalesced() {
    agree(Fixture::new(), get_request("/a", &[("content-length", "0")]), get_request("/a", &[])).await;
}

#[tokio::test]
async fn specific_requests_pass_through() {
    let of_its_own = [
        (Reason::Upgrade, "upgrade", "websocket"),
        (Reason::Upgrade, "connection", "keep-alive, Upgrade"),
        (Reason::Expect, "expect", "100-continue"),
        (Reason::Range, "range", "bytes=0-10"),
        (Reason::Range, "if-range", "\"1\""),
        (Reason::Conditional, "if-none-match", "\"1\""),
        (Reason::Conditional, "if-match", "\"1\""),
        (Reason::Conditional, "if-modified-since", "Sat, 29 Oct 1994 19:43:31 GMT"),
        (Reason::Conditional, "if-unmodified-since", "Sat, 29 Oct 1994 19:43:31 GMT"),
        (Reason::RequestCacheControl, "cache-control", "no-cache"),
        (Reason::RequestCacheControl, "cache-control", "max-age=0, No-Store"),
        (Reason::RequestCacheControl, "cache-control", "only-if-cached"),
        (Reason::RequestCacheControl, "cache-control", "max-age=0; no-cache"),
        (Reason::RequestCacheControl, "pragma", "no-cache"),
    ];
    for (reason, name, value) in of_its_own {
        pass(&Fixture::new(), reason, || get_request("/a", &[(name, value)])).await;
    }
}

#[tokio::test]
async fn a_reload_is_coalesced() {
    for value in ["max-age=0", "max-age=0;", "max-age=0; max-stale"] {
        agree(Fixture::new(), get_request("/a", &[("cache-control", value)]), get_request("/a", &[])).await;
    }
}

#[tokio::test]
async fn coalesce_if_vetoes_requests() {
    let fixture = Fixture::with(|layer| layer.coalesce_if(|parts| parts.uri.query().is_none()));
    pass(&fixture, Reason::RequestVetoed, || get_request("/a?live", &[])).await;
    assert_eq!(fixture.passes(Reason::RequestVetoed), 2);
}

#[tokio::test]
async fn reasons_are_counted_over_sockets() {
    limited(async {
        for version in Version::BOTH {
            let fixture = Fixture::new();
            fixture.gate.open();
            let server = Server::start(fixture.router(|call| call.to_string())).await;
            let client = version.client();
            let send = async |request: reqwest::RequestBuilder| request.send().await.unwrap().bytes().await.unwrap();
            send(client.get(server.url("/a"))).await;
            assert_eq!(fixture.layer.passes().total(), 0, "{version:?}");
            send(client.get(server.url("/a")).body("text")).await;
            send(client.get(server.url("/a")).bearer_auth("a")).await;
            send(client.get(server.url("/a")).header("range", "bytes=0-1")).await;
            let passes = fixture.layer.passes();
            let seen: Vec<_> = passes.iter().filter(|(_, count)| *count > 0).collect();
            assert_eq!(seen, [(Reason::RequestBody, 1), (Reason::Range, 1), (Reason::Credentials, 1)], "{version:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn layers_on_one_coalescer_share_no_flights() {
    let fixture = Fixture::new();
    let calls = Count::default();
    let routers = [(); 2].map(|()| {
        let (gate, calls) = (fixture.gate.clone(), calls.clone());
        let handler = async move || {
            calls.up();
            gate.pass().await;
        };
        let layer = CoalesceLayer::builder().handle(fixture.handle.clone()).build();
        Router::new().route("/a", any(handler)).layer(layer)
    });
    limited(async {
        let tasks = routers.each_ref().map(|router| tokio::spawn(crate::support::send(router, get_request("/a", &[]))));
        eventually(|| calls.get() == 2).await;
        fixture.gate.open();
        for task in tasks {
            task.await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_disabled_layer_coalesces_nothing() {
    for cache_control in ["public", "private"] {
        let fixture = Fixture::new();
        fixture.handle.set_enabled(false);
        let router = fixture.router(move |call| ([("cache-control", cache_control)], call.to_string()));
        let responses = limited(fixture.send_all(&router, [(); 3].map(|()| get_request("/a", &[])), 0)).await;
        let mut seen = texts(&responses);
        seen.sort_unstable();
        assert_eq!(seen, ["1", "2", "3"], "{cache_control}");
    }
}
