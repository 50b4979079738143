//! Coalescers of one name, at the same time and one after the other.

use std::{collections::BTreeSet, future::pending, time::Duration};

use shardflight::{BuildError, Coalescer, Metrics, OnAbandon};
use tokio::time::advance;
use tracing::subscriber::set_default;
use tracing_subscriber::{layer::SubscriberExt, registry};

use crate::events::Events;
use crate::exported::Exported;
use crate::support::{assert_pending, in_a_child_process, limited, settle};

fn build(exported: &Exported) -> Coalescer<u32, u32> {
    let builder = Coalescer::builder().shards(1).on_abandon(OnAbandon::Abort).metrics("users");
    exported.to(|| builder.build().expect("a namesake is no error"))
}

async fn join(coalescer: &Coalescer<u32, u32>, times: u32) {
    for key in 0..times {
        coalescer.handle().join(key, || async { 7 }).await.unwrap();
    }
}

async fn report() {
    settle().await;
    advance(Duration::from_secs(1)).await;
    settle().await;
}

fn joins(exported: &Exported, coalescer: &str) -> u64 {
    exported.count("shardflight_joins_total", &[("coalescer", coalescer)])
}

fn flights(exported: &Exported, coalescer: &str) -> u64 {
    exported.count("shardflight_flights", &[("coalescer", coalescer)])
}

#[tokio::test(start_paused = true)]
async fn namesakes_are_told_apart() {
    limited(async {
        let exported = Exported::new();
        let (first, second, third) = (build(&exported), build(&exported), build(&exported));
        join(&first, 1).await;
        join(&second, 2).await;
        join(&third, 3).await;
        let handles = [first.handle(), second.handle()];
        let mut waiting = handles.each_ref().map(|handle| handle.join(9_u32, pending));
        waiting.iter_mut().for_each(assert_pending);
        report().await;
        assert_eq!(["users", "users#2", "users#3"].map(|name| joins(&exported, name)), [2, 3, 3]);
        assert_eq!(["users", "users#2", "users#3"].map(|name| flights(&exported, name)), [1, 1, 0]);
        assert_eq!(exported.count("shardflight_flight_waiters_count", &[("coalescer", "users#3")]), 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_coalescer_frees_its_name() {
    limited(async {
        for settles in [true, false] {
            let exported = Exported::new();
            let (first, second) = (build(&exported), build(&exported));
            join(&first, 1).await;
            drop(first);
            if settles {
                settle().await;
            }
            let third = build(&exported);
            join(&third, 2).await;
            drop(second);
            let fourth = build(&exported);
            join(&fourth, 4).await;
            report().await;
            assert_eq!([joins(&exported, "users"), joins(&exported, "users#2")], [3, 4], "{settles}");
            assert_eq!(exported.labels()["coalescer"], BTreeSet::from(["users".into(), "users#2".into()]));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_frees_the_name() {
    limited(async {
        let exported = Exported::new();
        let first = build(&exported);
        first.shutdown(Duration::ZERO).await;
        let second = build(&exported);
        join(&second, 1).await;
        report().await;
        assert_eq!(joins(&exported, "users"), 1);
        drop(first);
        // It had given the name up before.
        let _third = build(&exported);
        assert!(exported.text().contains("users#2"));
    })
    .await;
}

#[tokio::test]
async fn a_failed_build_takes_no_name() {
    let exported = Exported::new();
    let metrics = || Metrics::named("users");
    let zero = Coalescer::<u32, u32>::builder().shards(0).metrics(metrics());
    assert_eq!(exported.to(|| zero.build()).expect_err("no shards"), BuildError::ZeroShards);
    let unnamed = Coalescer::<u32, u32>::builder().metrics("");
    assert_eq!(exported.to(|| unnamed.build()).expect_err("no name"), BuildError::UnnamedMetrics);
    let outside = Coalescer::<u32, u32>::builder().metrics(metrics());
    let outside = exported.to(|| std::thread::scope(|scope| scope.spawn(|| outside.build()).join().unwrap()));
    assert_eq!(outside.expect_err("no runtime"), BuildError::NoRuntime);
    assert_eq!(exported.text(), "");
    let _first = build(&exported);
    assert_eq!(exported.labels()["coalescer"], BTreeSet::from(["users".into()]));
}

#[tokio::test]
async fn recorders_have_names_of_their_own() {
    let (one, other) = (Exported::new(), Exported::new());
    let _coalescers = [build(&one), build(&other)];
    for exported in [one, other] {
        assert_eq!(exported.labels()["coalescer"], BTreeSet::from(["users".into()]));
    }
}

#[test]
fn a_namesake_is_warned_of() {
    in_a_child_process("names::a_namesake_is_warned_of", || async {
        let (events, exported) = (Events::default(), Exported::new());
        let _subscriber = set_default(registry().with(events.clone()));
        let _first = build(&exported);
        assert_eq!(events.of("metrics name taken").len(), 0);
        let _second = build(&exported);
        let taken = events.of("metrics name taken");
        assert_eq!(taken.len(), 1);
        assert_eq!((taken[0]["coalescer"].as_str(), taken[0]["label"].as_str()), ("users", "users#2"));
        assert!(taken[0]["remedy"].contains("name"), "{taken:?}");
        // Without a recorder nothing is exported, and no name is taken.
        let silent = || Coalescer::<u32, u32>::builder().metrics("silent").build().unwrap();
        let _coalescers = [silent(), silent()];
        assert_eq!(events.of("metrics name taken").len(), 1);
    });
}
