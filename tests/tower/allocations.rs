//! How often the layer goes to the allocator for a request, held against a table.
//!
//! A test binary of its own, because the allocator that counts is the process's.

use std::convert::Infallible;

use allocation_counter::measure;
use axum::body::Body;
use futures::poll;
use http::{Request, Response};
use shardflight::tower::CoalesceLayer;
use tokio::runtime;
use tower::{Layer, Service, ServiceExt, service_fn};

/// Allocations in 1,000 requests beyond those of the service alone; when they change, nothing else has to.
const TABLE: [(&str, u64); 4] = [
    ("a lone request", 14_000),
    ("a follower", 6_011),
    ("a request that passes through", 6_000),
    ("a disabled layer", 8_000),
];

const REQUESTS: u64 = 1_000;

/// Rounds after which what is built once has its size.
const WARM_UP: usize = 3;

fn request(path: &str, headers: &[(&'static str, &'static str)]) -> Request<Body> {
    let request = Request::get(path).header("host", "localhost").header("accept", "*/*").header("user-agent", "test");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Body::empty()).expect("a valid request")
}

async fn answer(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::empty()))
}

/// Has so many requests made with and without the layer, and compares the difference with the table.
fn weigh(name: &str, layer: &CoalesceLayer, requests: &impl AsyncFn(&CoalesceLayer, u64)) {
    let runtime = runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    let make = |count| runtime.block_on(requests(layer, count));
    (0..WARM_UP).for_each(|_| make(REQUESTS));
    let [none, all] = [0, REQUESTS].map(|count| measure(|| make(count)).count_total);
    let alone = measure(|| {
        runtime.block_on(async {
            for _ in 0..REQUESTS {
                drop(service_fn(answer).oneshot(request("/a", &[])).await);
            }
        });
    });
    let (_, allowed) = TABLE.iter().find(|(row, _)| *row == name).expect("a row of the table");
    let layers = (all - none).saturating_sub(alone.count_total);
    assert_eq!(layers, *allowed, "allocations of {REQUESTS} times \"{name}\", on the left, aren't the table's");
}

#[test]
fn a_lone_request_allocates_as_often_as_the_table_says() {
    weigh("a lone request", &CoalesceLayer::new(), &async |layer, requests| {
        for _ in 0..requests {
            drop(layer.layer(service_fn(answer)).oneshot(request("/a", &[])).await);
        }
    });
}

#[test]
fn a_follower_allocates_as_often_as_the_table_says() {
    weigh("a follower", &CoalesceLayer::new(), &async |layer, requests| {
        let mut service = layer.layer(service_fn(answer));
        let mut callers = Vec::with_capacity(1 + usize::try_from(requests).expect("a number of requests"));
        for _ in 0..=requests {
            let mut caller = service.call(request("/a", &[]));
            assert!(poll!(&mut caller).is_pending());
            callers.push(caller);
        }
        for caller in callers {
            drop(caller.await);
        }
    });
}

#[test]
fn a_request_that_passes_through_allocates_as_often_as_the_table_says() {
    weigh("a request that passes through", &CoalesceLayer::new(), &async |layer, requests| {
        for _ in 0..requests {
            drop(layer.layer(service_fn(answer)).oneshot(request("/a", &[("range", "bytes=0-1")])).await);
        }
    });
}

#[test]
fn a_disabled_layer_allocates_as_often_as_the_table_says() {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let handle = shardflight::Coalescer::builder().shards(1).build_on(runtime.handle()).expect("a runtime").handle();
    handle.set_enabled(false);
    let layer = CoalesceLayer::builder().handle(handle).build();
    weigh("a disabled layer", &layer, &async |layer, requests| {
        for _ in 0..requests {
            drop(layer.layer(service_fn(answer)).oneshot(request("/a", &[])).await);
        }
    });
}
