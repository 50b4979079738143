//! The layer in axum's routers.

use std::convert::Infallible;

use axum::{
    Extension, Router,
    extract::{OriginalUri, Path, State},
    routing::get,
};
use http::Uri;
use shardflight::tower::{CoalesceLayer, Reason};
use tower::ServiceBuilder;

use crate::support::{Count, Fixture, Gate, Server, Version, fetch, get_request, limited, send, texts, two_workers};

#[derive(Clone)]
struct App {
    gate: Gate,
    calls: Count,
    name: &'static str,
}

async fn tenant(State(app): State<App>, Path((tenant, order)): Path<(String, u32)>) -> String {
    app.calls.up();
    app.gate.pass().await;
    format!("{} of {tenant}: {order}", app.name)
}

fn tenants(fixture: &Fixture, name: &'static str) -> Router {
    let app = App { gate: fixture.gate.clone(), calls: fixture.calls.clone(), name };
    let orders = Router::new().route("/orders/{order}", get(tenant)).layer(fixture.layer.clone());
    Router::new().nest("/tenants/{tenant}", orders).with_state(app)
}

#[tokio::test]
async fn nested_prefixes_are_in_the_key() {
    limited(async {
        let fixture = Fixture::new();
        let router = tenants(&fixture, "order");
        let targets = ["/tenants/a/orders/7", "/tenants/b/orders/7", "/tenants/a/orders/7"];
        let responses = fixture.send_all(&router, targets.map(|target| get_request(target, &[])), 3).await;
        assert_eq!(texts(&responses), ["order of a: 7", "order of b: 7", "order of a: 7"]);
        assert_eq!(fixture.calls.get(), 2);
    })
    .await;
}

#[tokio::test]
async fn nested_routers_are_told_apart() {
    limited(async {
        let fixture = Fixture::new();
        let router = Router::new().nest("/old", tenants(&fixture, "old")).nest("/new", tenants(&fixture, "new"));
        let targets = ["/old/tenants/a/orders/7", "/new/tenants/a/orders/7"];
        let responses = fixture.send_all(&router, targets.map(|target| get_request(target, &[])), 2).await;
        assert_eq!(texts(&responses), ["old of a: 7", "new of a: 7"]);
    })
    .await;
}

#[tokio::test]
async fn rewritten_targets_are_in_the_key() {
    limited(async {
        let fixture = Fixture::new();
        let rewritten = |to: &'static str| {
            let inner = fixture.router(|call| call.to_string());
            let rewrite = move |mut request: http::Request<axum::body::Body>| {
                request.extensions_mut().insert(OriginalUri(Uri::from_static("/a")));
                *request.uri_mut() = Uri::from_static(to);
                request
            };
            Router::new().fallback_service(ServiceBuilder::new().map_request(rewrite).service(inner))
        };
        let tasks =
            [rewritten("/one"), rewritten("/two")].map(|router| tokio::spawn(send(&router, get_request("/a", &[]))));
        fixture.until(|stats| stats.waiters == 2).await;
        fixture.gate.open();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(fixture.calls.get(), 2);
    })
    .await;
}

#[tokio::test]
async fn extractors_and_other_layers_still_work() {
    limited(async {
        for version in Version::BOTH {
            let layer = CoalesceLayer::new();
            let handler = async |State(state): State<u32>, Path(id): Path<u32>, Extension(word): Extension<&str>| {
                format!("{state} {id} {word}")
            };
            let router = Router::new()
                .route("/{id}", get(handler))
                .layer(ServiceBuilder::new().layer(layer.clone()).layer(Extension("below")))
                .fallback(async || "nowhere")
                .with_state(7);
            let server = Server::start(router).await;
            let client = version.client();
            assert_eq!(fetch(&client, &server.url("/5")).await.1, "7 5 below", "{version:?}");
            assert_eq!(fetch(&client, &server.url("/a/b")).await.1, "nowhere", "{version:?}");
            assert_eq!(layer.handle().expect("a first request").stats().await.unwrap().executions, 1, "{version:?}");
        }
    })
    .await;
}

#[test]
fn a_layer_needs_no_runtime_to_be_built() {
    let layer = CoalesceLayer::new();
    let router = Router::new().route("/a", get(async || "text")).layer(layer.clone());
    assert!(layer.handle().is_none());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let response = runtime.block_on(limited(send(&router, get_request("/a", &[]))));
    assert_eq!(response.body(), "text");
    assert!(layer.handle().is_some());
}

#[test]
fn requests_outside_of_a_runtime_pass_through() {
    let layer = CoalesceLayer::new();
    let router = Router::new().route("/a", get(async || "text")).layer(layer.clone());
    let response = futures::executor::block_on(send(&router, get_request("/a", &[])));
    assert_eq!(response.body(), "text");
    assert_eq!(layer.passes().of(Reason::NoRuntime), 1);
}

#[tokio::test]
async fn a_router_with_the_layer_is_infallible() {
    fn is_infallible<S: tower::Service<http::Request<axum::body::Body>, Error = Infallible>>(_: &S) {}
    is_infallible(&Router::<()>::new().route("/a", get(async || "text")).layer(CoalesceLayer::new()));
}

#[tokio::test]
async fn a_layer_that_meets_a_request_twice_lets_it_pass() {
    limited(async {
        let fixture = Fixture::new();
        fixture.gate.open();
        for router in [
            Router::new().nest("/outer", fixture.router(|call| call.to_string())),
            Router::new().merge(fixture.router(|call| call.to_string())),
        ] {
            let router = router.layer(fixture.layer.clone());
            assert_eq!(send(&router, get_request("/outer/a", &[])).await.status(), 200);
        }
        assert_eq!(fixture.passes(Reason::Nested), 2);
        assert_eq!(fixture.until(|stats| stats.executions == 2).await.rejections, 0);
    })
    .await;
}

#[tokio::test]
async fn two_layers_both_coalesce() {
    limited(async {
        let (outer, inner) = (Fixture::new(), Fixture::new());
        let router = inner.router(|call| call.to_string()).layer(outer.layer.clone());
        inner.gate.open();
        send(&router, get_request("/a", &[])).await;
        assert_eq!((outer.until(|stats| stats.executions == 1).await.joins, outer.passes(Reason::Nested)), (1, 0));
        assert_eq!((inner.until(|stats| stats.executions == 1).await.joins, inner.passes(Reason::Nested)), (1, 0));
    })
    .await;
}

#[test]
fn a_router_in_a_static_outlives_runtimes() {
    let calls = Count::default();
    let counter = calls.clone();
    let handler = async move || counter.up().to_string();
    let router = Router::new().route("/a", get(handler)).layer(CoalesceLayer::new());
    for call in 1..=3 {
        let runtime = two_workers();
        let response = runtime.block_on(limited(send(&router, get_request("/a", &[]))));
        assert_eq!((response.status().as_u16(), response.body().as_ref()), (200, call.to_string().as_bytes()));
    }
    assert_eq!(calls.get(), 3);
}
