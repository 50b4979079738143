//! Which requests are the same, and which pass through.

use axum::{Router, body::Body, routing::any};
use http::{Method, Request, header};
use shardflight::tower::{CoalesceLayer, Reason};

use crate::support::{Count, Site, Stage, Version, ask, eventually, fetch, limited, texts};

#[tokio::test]
async fn identical_requests_are_answered_by_one_call() {
    limited(async {
        for version in Version::BOTH {
            let stage = Stage::new();
            let site = Site::open(stage.router(|call| format!("call {call}"))).await;
            let visits: Vec<_> = (0..20)
                .map(|_| {
                    // A connection each: axum puts the layer in front of its handlers anew for each of them.
                    let (client, url) = (version.client(), site.url("/post?id=7"));
                    tokio::spawn(async move { fetch(&client, &url).await })
                })
                .collect();
            stage.until(|stats| stats.waiters == 20).await;
            stage.gate.open();
            for visit in visits {
                assert_eq!(visit.await.unwrap().1, "call 1", "{version:?}");
            }
            assert_eq!((stage.calls.get(), stage.layer.passes().total()), (1, 0), "{version:?}");
        }
    })
    .await;
}

/// Two requests of which the key has to tell one from the other; nothing passes through.
async fn differ(stage: Stage, one: Request<Body>, other: Request<Body>) {
    let what = format!("{one:?} against {other:?}");
    let router = stage.router(|call| call.to_string());
    let responses = limited(stage.play(&router, [one, other], 2)).await;
    assert_eq!(stage.calls.get(), 2, "{what}");
    assert_ne!(texts(&responses)[0], texts(&responses)[1], "{what}");
    assert_eq!(stage.layer.passes().total(), 0, "{what}");
}

/// Two requests that the key has to take for the same.
async fn agree(stage: Stage, one: Request<Body>, other: Request<Body>) {
    let what = format!("{one:?} and {other:?}");
    let router = stage.router(|call| call.to_string());
    let responses = limited(stage.play(&router, [one, other], 2)).await;
    assert_eq!(stage.calls.get(), 1, "{what}");
    assert_eq!(texts(&responses), ["1", "1"], "{what}");
}

#[tokio::test]
async fn requests_that_differ_in_target_or_method_are_apart() {
    differ(Stage::new(), ask("/a", &[]), ask("/b", &[])).await;
    differ(Stage::new(), ask("/a?x=1", &[]), ask("/a?x=2", &[])).await;
    differ(Stage::new(), ask("http://one.example/a", &[]), ask("http://two.example/a", &[])).await;
    differ(Stage::new(), ask("http://one.example/a", &[]), ask("https://one.example/a", &[])).await;
    let stage = Stage::new();
    let router = stage.router(|call| call.to_string());
    let head = Request::head("/a").body(Body::empty()).unwrap();
    limited(stage.play(&router, [ask("/a", &[]), head], 2)).await;
    assert_eq!(stage.calls.get(), 2);
}

#[tokio::test]
async fn requests_that_differ_in_what_stands_for_the_target_are_apart() {
    for name in ["host", "origin", "x-forwarded-host", "x-forwarded-proto", "x-original-url", "x-rewrite-url"] {
        differ(Stage::new(), ask("/a", &[(name, "one.example")]), ask("/a", &[(name, "two.example")])).await;
        differ(Stage::new(), ask("/a", &[(name, "one.example")]), ask("/a", &[])).await;
    }
    let one = ask("/a", &[("forwarded", "for=192.0.2.1;host=one.example")]);
    differ(Stage::new(), one, ask("/a", &[("forwarded", "for=192.0.2.1;host=two.example")])).await;
}

#[tokio::test]
async fn who_a_proxy_forwarded_for_keeps_nobody_apart() {
    let one = ask("/a", &[("forwarded", "for=192.0.2.1;host=one.example")]);
    agree(Stage::new(), one, ask("/a", &[("forwarded", "for=192.0.2.2;host=one.example")])).await;
}

#[tokio::test]
async fn headers_that_are_named_keep_requests_apart_and_others_dont() {
    let stage = || Stage::with(|layer| layer.vary([header::ACCEPT]));
    differ(stage(), ask("/a", &[("accept", "text/html")]), ask("/a", &[("accept", "text/plain")])).await;
    differ(stage(), ask("/a", &[("accept", "")]), ask("/a", &[])).await;
    agree(stage(), ask("/a", &[("accept", "text/html")]), ask("/a", &[("accept", "text/html")])).await;
    agree(stage(), ask("/a", &[("user-agent", "one")]), ask("/a", &[("user-agent", "two")])).await;
}

#[tokio::test]
async fn principals_keep_requests_apart() {
    let stage = || Stage::with(|layer| layer.principal(|parts| parts.headers.get(header::AUTHORIZATION).cloned()));
    differ(stage(), ask("/a", &[("authorization", "a")]), ask("/a", &[("authorization", "b")])).await;
    differ(stage(), ask("/a", &[("authorization", "a")]), ask("/a", &[])).await;
    agree(stage(), ask("/a", &[("authorization", "a")]), ask("/a", &[("authorization", "a")])).await;
    let nameless = || Stage::with(|layer| layer.principal(|parts| parts.headers.get("x-user").cloned()));
    differ(nameless(), ask("/a", &[("x-user", "")]), ask("/a", &[])).await;
}

#[tokio::test]
async fn principals_can_come_from_extensions() {
    #[derive(Clone)]
    struct Certificate(&'static str);
    let stage = Stage::with(|layer| {
        layer.principal(|parts| parts.extensions.get::<Certificate>().map(|certificate| certificate.0))
    });
    let [mut one, mut other] = [ask("/a", &[]), ask("/a", &[])];
    one.extensions_mut().insert(Certificate("one"));
    other.extensions_mut().insert(Certificate("other"));
    differ(stage, one, other).await;
}

/// Two equal requests that both have to be called for, for this reason.
async fn pass(stage: &Stage, reason: Reason, request: impl Fn() -> Request<Body>) {
    let what = format!("{:?}", request());
    let before = (stage.calls.get(), stage.passes(reason));
    let Stage { gate, calls, layer, .. } = stage.clone();
    let handler = async move || {
        calls.up();
        gate.pass().await;
    };
    let router = Router::new().route("/a", any(handler)).layer(layer);
    limited(stage.play(&router, [request(), request()], 0)).await;
    let after = (stage.calls.get(), stage.passes(reason));
    assert_eq!(after, (before.0 + 2, before.1 + 2), "{what}");
}

#[tokio::test]
async fn what_may_be_a_write_passes_through() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS, Method::TRACE] {
        let request = || Request::builder().method(&method).uri("/a").body(Body::empty()).unwrap();
        pass(&Stage::new(), Reason::Method, request).await;
    }
    pass(&Stage::new(), Reason::Method, || ask("/a", &[("x-http-method-override", "DELETE")])).await;
}

#[tokio::test]
async fn what_has_a_body_passes_through() {
    let stage = Stage::new();
    pass(&stage, Reason::RequestBody, || Request::get("/a").body(Body::from("text")).unwrap()).await;
    let stream = || Body::from_stream(futures::stream::iter([Ok::<_, std::io::Error>("text")]));
    pass(&stage, Reason::RequestBody, || Request::get("/a").body(stream()).unwrap()).await;
    pass(&stage, Reason::RequestBody, || ask("/a", &[("content-length", "4")])).await;
    pass(&stage, Reason::RequestBody, || ask("/a", &[("transfer-encoding", "chunked")])).await;
}

#[tokio::test]
async fn a_length_of_zero_is_no_body() {
    agree(Stage::new(), ask("/a", &[("content-length", "0")]), ask("/a", &[])).await;
}

#[tokio::test]
async fn what_asks_for_an_answer_of_its_own_passes_through() {
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
        (Reason::RequestCacheControl, "pragma", "no-cache"),
    ];
    for (reason, name, value) in of_its_own {
        pass(&Stage::new(), reason, || ask("/a", &[(name, value)])).await;
    }
}

#[tokio::test]
async fn a_reload_is_coalesced() {
    agree(Stage::new(), ask("/a", &[("cache-control", "max-age=0")]), ask("/a", &[])).await;
}

#[tokio::test]
async fn credentials_pass_through() {
    for name in ["authorization", "proxy-authorization", "cookie", "x-api-key", "x-forwarded-user", "client-cert"] {
        pass(&Stage::new(), Reason::Credentials, || ask("/a", &[(name, "somebody")])).await;
    }
    let stage = Stage::with(|layer| layer.credentials([http::HeaderName::from_static("x-badge")]));
    pass(&stage, Reason::Credentials, || ask("/a", &[("x-badge", "7")])).await;
    let stage = Stage::with(|layer| layer.principal(|_| None::<String>));
    pass(&stage, Reason::Credentials, || ask("/a", &[("cookie", "session=7")])).await;
}

#[tokio::test]
async fn credentials_that_are_named_as_varying_are_in_the_key_and_no_others() {
    let stage = || Stage::with(|layer| layer.vary([header::AUTHORIZATION]));
    agree(stage(), ask("/a", &[("authorization", "a")]), ask("/a", &[("authorization", "a")])).await;
    differ(stage(), ask("/a", &[("authorization", "a")]), ask("/a", &[("authorization", "b")])).await;
    pass(&stage(), Reason::Credentials, || ask("/a", &[("authorization", "a"), ("cookie", "b")])).await;
}

#[tokio::test]
async fn a_veto_lets_requests_pass() {
    let stage = Stage::with(|layer| layer.coalesce_if(|parts| parts.uri.query().is_none()));
    pass(&stage, Reason::RequestVetoed, || ask("/a?live", &[])).await;
    assert_eq!(stage.passes(Reason::RequestVetoed), 2);
}

#[tokio::test]
async fn reasons_are_found_over_sockets_as_well() {
    limited(async {
        for version in Version::BOTH {
            let stage = Stage::new();
            stage.gate.open();
            let site = Site::open(stage.router(|call| call.to_string())).await;
            let client = version.client();
            let send = async |request: reqwest::RequestBuilder| request.send().await.unwrap().bytes().await.unwrap();
            send(client.get(site.url("/a"))).await;
            assert_eq!(stage.layer.passes().total(), 0, "{version:?}");
            send(client.get(site.url("/a")).body("text")).await;
            send(client.get(site.url("/a")).bearer_auth("a")).await;
            send(client.get(site.url("/a")).header("range", "bytes=0-1")).await;
            let passes = stage.layer.passes();
            let seen: Vec<_> = passes.iter().filter(|(_, count)| *count > 0).collect();
            assert_eq!(seen, [(Reason::RequestBody, 1), (Reason::Range, 1), (Reason::Credentials, 1)], "{version:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn layers_on_one_coalescer_share_no_flights() {
    let stage = Stage::new();
    let calls = Count::default();
    let routers = [(); 2].map(|()| {
        let (gate, calls) = (stage.gate.clone(), calls.clone());
        let handler = async move || {
            calls.up();
            gate.pass().await;
        };
        let layer = CoalesceLayer::builder().handle(stage.handle.clone()).build();
        Router::new().route("/a", any(handler)).layer(layer)
    });
    limited(async {
        let visits = routers.each_ref().map(|router| tokio::spawn(crate::support::visit(router, ask("/a", &[]))));
        eventually(|| calls.get() == 2).await;
        stage.gate.open();
        for visit in visits {
            visit.await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_switch_that_is_off_has_every_request_called_for_by_itself() {
    for cache_control in ["public", "private"] {
        let stage = Stage::new();
        stage.handle.set_enabled(false);
        let router = stage.router(move |call| ([("cache-control", cache_control)], call.to_string()));
        let responses = limited(stage.play(&router, [(); 3].map(|()| ask("/a", &[])), 0)).await;
        let mut seen = texts(&responses);
        seen.sort_unstable();
        assert_eq!(seen, ["1", "2", "3"], "{cache_control}");
    }
}
