//! axum's routers as they are.

use std::convert::Infallible;

use axum::{
    Extension, Router,
    extract::{OriginalUri, Path, State},
    routing::get,
};
use http::Uri;
use shardflight::tower::{CoalesceLayer, Reason};
use tower::ServiceBuilder;

use crate::support::{Count, Gate, Site, Stage, Version, ask, fetch, limited, texts, visit};

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

fn tenants(stage: &Stage, name: &'static str) -> Router {
    let app = App { gate: stage.gate.clone(), calls: stage.calls.clone(), name };
    let orders = Router::new().route("/orders/{order}", get(tenant)).layer(stage.layer.clone());
    Router::new().nest("/tenants/{tenant}", orders).with_state(app)
}

#[tokio::test]
async fn what_nesting_cuts_from_the_target_stays_in_the_key() {
    limited(async {
        let stage = Stage::new();
        let router = tenants(&stage, "order");
        let targets = ["/tenants/a/orders/7", "/tenants/b/orders/7", "/tenants/a/orders/7"];
        let responses = stage.play(&router, targets.map(|target| ask(target, &[])), 3).await;
        assert_eq!(texts(&responses), ["order of a: 7", "order of b: 7", "order of a: 7"]);
        assert_eq!(stage.calls.get(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_layer_in_two_nested_routers_tells_them_apart() {
    limited(async {
        let stage = Stage::new();
        let router = Router::new().nest("/old", tenants(&stage, "old")).nest("/new", tenants(&stage, "new"));
        let targets = ["/old/tenants/a/orders/7", "/new/tenants/a/orders/7"];
        let responses = stage.play(&router, targets.map(|target| ask(target, &[])), 2).await;
        assert_eq!(texts(&responses), ["old of a: 7", "new of a: 7"]);
    })
    .await;
}

#[tokio::test]
async fn what_a_layer_above_makes_of_the_target_is_in_the_key_as_well() {
    limited(async {
        let stage = Stage::new();
        let rewritten = |to: &'static str| {
            let inner = stage.router(|call| call.to_string());
            let rewrite = move |mut request: http::Request<axum::body::Body>| {
                request.extensions_mut().insert(OriginalUri(Uri::from_static("/a")));
                *request.uri_mut() = Uri::from_static(to);
                request
            };
            Router::new().fallback_service(ServiceBuilder::new().map_request(rewrite).service(inner))
        };
        let visits = [rewritten("/one"), rewritten("/two")].map(|router| tokio::spawn(visit(&router, ask("/a", &[]))));
        stage.until(|stats| stats.waiters == 2).await;
        stage.gate.open();
        for visit in visits {
            visit.await.unwrap();
        }
        assert_eq!(stage.calls.get(), 2);
    })
    .await;
}

#[tokio::test]
async fn handlers_keep_their_state_their_extractors_and_other_layers() {
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
            let site = Site::open(router).await;
            let client = version.client();
            assert_eq!(fetch(&client, &site.url("/5")).await.1, "7 5 below", "{version:?}");
            assert_eq!(fetch(&client, &site.url("/a/b")).await.1, "nowhere", "{version:?}");
            assert_eq!(layer.handle().expect("a first request").stats().await.unwrap().executions, 1, "{version:?}");
        }
    })
    .await;
}

#[test]
fn a_layer_can_be_made_outside_of_a_runtime() {
    let layer = CoalesceLayer::new();
    let router = Router::new().route("/a", get(async || "text")).layer(layer.clone());
    assert!(layer.handle().is_none());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let response = runtime.block_on(limited(visit(&router, ask("/a", &[]))));
    assert_eq!(response.body(), "text");
    assert!(layer.handle().is_some());
}

#[test]
fn a_request_on_no_runtime_passes_through() {
    let layer = CoalesceLayer::new();
    let router = Router::new().route("/a", get(async || "text")).layer(layer.clone());
    let response = futures::executor::block_on(visit(&router, ask("/a", &[])));
    assert_eq!(response.body(), "text");
    assert_eq!(layer.passes().of(Reason::NoRuntime), 1);
}

#[tokio::test]
async fn a_router_with_the_layer_is_as_infallible_as_before() {
    fn is_infallible<S: tower::Service<http::Request<axum::body::Body>, Error = Infallible>>(_: &S) {}
    is_infallible(&Router::<()>::new().route("/a", get(async || "text")).layer(CoalesceLayer::new()));
}
