//! A GET after a write.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{Router, body::Body, routing::get};
use http::Request;
use shardflight::{Freshness, tower::CoalesceLayer};

use crate::support::{Fixture, eventually, get_request, limited, send, texts, until};

#[tokio::test]
async fn a_get_after_a_write_sees_it_where_work_begins_after_the_call() {
    for (freshness, expected) in [(Freshness::WithinWindow, "1"), (Freshness::StartedAfterCall, "2")] {
        let Fixture { handle, gate, calls, .. } = Fixture::new();
        let layer = CoalesceLayer::builder().handle(handle.with_freshness(freshness)).build();
        let value = Arc::new(AtomicU64::new(1));
        let (stored, read, counted, passed) = (value.clone(), value, calls.clone(), gate.clone());
        let handler = async move || {
            let read = read.load(Ordering::SeqCst);
            counted.up();
            passed.pass().await;
            read.to_string()
        };
        let write = async move || stored.store(2, Ordering::SeqCst);
        let router = Router::new().route("/a", get(handler).post(write)).layer(layer);
        limited(async {
            let early = tokio::spawn(send(&router, get_request("/a", &[])));
            eventually(|| calls.get() == 1).await;
            send(&router, Request::post("/a").body(Body::empty()).unwrap()).await;
            let late = tokio::spawn(send(&router, get_request("/a", &[])));
            until(&handle, |stats| stats.waiters == 2).await;
            gate.open();
            assert_eq!(texts(&[early.await.unwrap(), late.await.unwrap()]), ["1", expected], "{freshness:?}");
        })
        .await;
    }
}
