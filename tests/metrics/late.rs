//! Recorders that are installed after the coalescer was built. Each test has a process, as its recorder is that of the process.

use std::time::Duration;

use axum::{Router, body::Body, routing::get};
use http::Request;
use shardflight::{
    Coalescer, Metrics,
    tower::{CoalesceLayer, Key},
};
use tokio::{
    runtime,
    time::{advance, pause},
};
use tower::ServiceExt;
use tracing::subscriber::{set_default, set_global_default};
use tracing_subscriber::{layer::SubscriberExt, registry};

use crate::events::Events;
use crate::exported::Exported;
use crate::support::{eventually, in_a_child_process, settle};

async fn report() {
    settle().await;
    // The clock was stopped between two milliseconds, and timers are rounded up.
    advance(Duration::from_millis(1_001)).await;
    settle().await;
}

#[test]
fn a_late_recorder_gets_all_counts_and_is_told_of_once() {
    in_a_child_process("late::a_late_recorder_gets_all_counts_and_is_told_of_once", || async {
        pause();
        let events = Events::default();
        let _subscriber = set_default(registry().with(events.clone()));
        let coalescer = Coalescer::<u32, u32>::builder().shards(4).metrics("users").build().unwrap();
        let handle = coalescer.handle();
        for key in 0..10_u32 {
            handle.join(key, || async { 7 }).await.unwrap();
        }
        report().await;
        assert_eq!(events.of("metrics recorder late").len(), 0, "there may never be one");
        let exported = Exported::install();
        for key in 0..5_u32 {
            handle.join(key, || async { 7 }).await.unwrap();
        }
        for _ in 0..3 {
            report().await;
            assert_eq!(exported.count("shardflight_joins_total", &[("coalescer", "users")]), 15);
            let late = events.of("metrics recorder late");
            assert_eq!(late.len(), 1);
            assert_eq!(late[0]["coalescer"], "users");
            assert!(late[0]["remedy"].contains("before"), "{late:?}");
        }
        handle.join(1_u32, || async { 7 }).await.unwrap();
        assert_eq!(exported.count("shardflight_flight_waiters_count", &[]), 1, "durations count from now on");
        assert!(exported.text().contains("# HELP shardflight_joins_total"));
        coalescer.shutdown(Duration::ZERO).await;
        settle().await;
        assert_eq!(exported.count("shardflight_joins_total", &[]), 16);
    });
}

#[test]
fn a_late_recorder_gets_the_final_report() {
    in_a_child_process("late::a_late_recorder_gets_the_final_report", || async {
        let coalescer = Coalescer::<u32, u32>::builder().shards(4).metrics("users").build().unwrap();
        coalescer.handle().join(1_u32, || async { 7 }).await.unwrap();
        let exported = Exported::install();
        coalescer.shutdown(Duration::ZERO).await;
        settle().await;
        assert_eq!(exported.count("shardflight_joins_total", &[]), 1);
    });
}

#[test]
fn late_namesakes_are_told_apart() {
    in_a_child_process("late::late_namesakes_are_told_apart", || async {
        pause();
        let build = || Coalescer::<u32, u32>::builder().shards(3).metrics("users").build().unwrap();
        let coalescers = [build(), build()];
        coalescers[1].handle().join(1_u32, || async { 7 }).await.unwrap();
        let exported = Exported::install();
        report().await;
        let mut joins =
            ["users", "users#2"].map(|name| exported.count("shardflight_joins_total", &[("coalescer", name)]));
        joins.sort_unstable();
        assert_eq!(joins, [0, 1]);
        assert!(!exported.text().contains("users#3"));
    });
}

#[test]
fn a_late_recorder_gets_all_passes() {
    in_a_child_process("late::a_late_recorder_gets_all_passes", || async {
        pause();
        let coalescer = Coalescer::<Key, _>::builder().metrics("http").build().unwrap();
        let layer = CoalesceLayer::builder().handle(coalescer.handle()).build();
        let router = Router::new().route("/page", get(async || "").post(async || "")).layer(layer);
        let post = async || {
            let request = Request::post("/page").body(Body::empty()).unwrap();
            router.clone().oneshot(request).await.unwrap();
        };
        post().await;
        post().await;
        let exported = Exported::install();
        post().await;
        report().await;
        let passes = || exported.count("shardflight_passes_total", &[("reason", "method")]);
        assert_eq!(passes(), 3);
        post().await;
        assert_eq!(passes(), 4);
        report().await;
        assert_eq!(passes(), 4);
    });
}

#[test]
fn shards_that_report_at_once_register_once() {
    in_a_child_process("late::shards_that_report_at_once_register_once", || async {
        let events = Events::default();
        set_global_default(registry().with(events.clone())).unwrap();
        let workers = runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
        let metrics = Metrics::named("users").report_every(Duration::from_millis(1));
        let builder = Coalescer::<u32, u32>::builder().shards(64).metrics(metrics);
        let coalescer = builder.build_on(workers.handle()).unwrap();
        let exported = Exported::install();
        eventually(|| exported.text().contains("shard=\"63\"")).await;
        coalescer.shutdown(Duration::ZERO).await;
        eventually(|| workers.metrics().num_alive_tasks() == 0).await;
        assert!(!exported.text().contains("users#2"), "{}", exported.text());
        assert_eq!(events.of("metrics recorder late").len(), 1);
        workers.shutdown_background();
    });
}

#[tokio::test(start_paused = true)]
async fn the_recorder_of_the_build_is_kept() {
    let (first, second) = (Exported::new(), Exported::new());
    let coalescer = first.to(|| Coalescer::<u32, u32>::builder().shards(1).metrics("users").build().unwrap());
    let _other = second.as_default();
    coalescer.handle().join(1_u32, || async { 7 }).await.unwrap();
    report().await;
    assert_eq!(first.count("shardflight_joins_total", &[]), 1);
    assert_eq!(second.text(), "");
}
