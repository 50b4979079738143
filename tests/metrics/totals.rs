//! Counters and gauges.

use std::{collections::BTreeSet, future::pending, time::Duration};

use futures::future::join_all;
use shardflight::{BuildError, Coalescer, Metrics, OnAbandon, Stats};
use tokio::{runtime, time::advance};

use crate::exported::Exported;
use crate::support::{assert_pending, eventually, eventually_blocking, limited, settle, watched};

/// All counters by their exported names.
pub(crate) fn counters(stats: &Stats) -> [(&'static str, u64); 18] {
    [
        ("shardflight_joins_total", stats.joins),
        ("shardflight_executions_total", stats.executions),
        ("shardflight_coalesced_total", stats.coalesced),
        ("shardflight_errors_total", stats.errors),
        ("shardflight_panics_total", stats.panics),
        ("shardflight_timeouts_total", stats.timeouts),
        ("shardflight_rejections_total", stats.rejections),
        ("shardflight_queued_total", stats.queued),
        ("shardflight_shed_total", stats.shed),
        ("shardflight_raised_total", stats.raised),
        ("shardflight_departures_total", stats.departures),
        ("shardflight_aborts_total", stats.aborts),
        ("shardflight_forgets_total", stats.forgets),
        ("shardflight_bypasses_total", stats.bypasses),
        ("shardflight_takeovers_total", stats.takeovers),
        ("shardflight_hedges_total", stats.hedges),
        ("shardflight_hedges_won_total", stats.hedges_won),
        ("shardflight_hedges_denied_total", stats.hedges_denied),
    ]
}

const GAUGES: [&str; 5] = [
    "shardflight_flights",
    "shardflight_waiters",
    "shardflight_executing",
    "shardflight_queue_length",
    "shardflight_oldest_flight_age_seconds",
];

/// Longer than any test, so that only final reports happen.
const NEVER: Duration = Duration::from_secs(1_000_000);

fn build(exported: &Exported, metrics: Metrics) -> Coalescer<u32, u32> {
    let builder = Coalescer::builder().shards(2).on_abandon(OnAbandon::Abort).metrics(metrics);
    exported.to(|| builder.build().expect("inside a runtime"))
}

/// Waits for the next report at the default interval.
async fn next_report() {
    settle().await;
    advance(Duration::from_secs(1)).await;
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn each_shard_reports_its_totals() {
    limited(async {
        let exported = Exported::new();
        let coalescer = build(&exported, Metrics::named("users"));
        let handle = coalescer.handle();
        join_all((0..50).map(|n| handle.join(n % 25, move || async move { n }))).await;
        let mut waiting: Vec<_> = (100..110_u32).map(|key| handle.join(key, pending)).collect();
        waiting.iter_mut().for_each(assert_pending);
        handle.set_enabled(false);
        handle.join(1_u32, || async { 7 }).await.unwrap();
        next_report().await;
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.joins, stats.flights, stats.bypasses), (61, 10, 1));
        for (shard, stats) in stats.per_shard().iter().enumerate() {
            let labels = [("coalescer", "users"), ("shard", &shard.to_string())];
            for (name, counted) in counters(stats) {
                assert_eq!(exported.count(name, &labels), counted, "{name}");
            }
            assert_eq!(exported.count("shardflight_flights", &labels), stats.flights as u64);
            assert_eq!(exported.count("shardflight_waiters", &labels), stats.waiters as u64);
            let age = exported.seconds("shardflight_oldest_flight_age_seconds", &labels);
            assert!((1.0..1.1).contains(&age), "{age}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn metrics_exist_before_the_first_join() {
    let exported = Exported::new();
    let _coalescer = build(&exported, Metrics::named("users"));
    assert_eq!(exported.names().len(), 19 + 5 + 3);
    assert_eq!(exported.count("shardflight_joins_total", &[("shard", "1")]), 0);
    assert_eq!(exported.count("shardflight_flight_duration_seconds_count", &[("outcome", "timed_out")]), 0);
}

#[tokio::test(start_paused = true)]
async fn repeated_reports_count_nothing_twice() {
    limited(async {
        let exported = Exported::new();
        let coalescer = build(&exported, Metrics::named("users").report_every(Duration::from_millis(10)));
        coalescer.handle().join(1_u32, || async { 7 }).await.unwrap();
        for _ in 0..5 {
            next_report().await;
        }
        assert_eq!(exported.count("shardflight_joins_total", &[]), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reset_does_not_affect_counters() {
    limited(async {
        let exported = Exported::new();
        let coalescer = build(&exported, Metrics::named("users"));
        let handle = coalescer.handle();
        let calls = async |count: u32| {
            for key in 0..count {
                handle.join(key, || async { 7 }).await.unwrap();
            }
            handle.set_enabled(false);
            handle.join(1_u32, || async { 7 }).await.unwrap();
            handle.set_enabled(true);
        };
        calls(3).await;
        next_report().await;
        // A reset between two reports must not lose or repeat the calls before it.
        calls(4).await;
        handle.reset_stats().await.unwrap();
        calls(20).await;
        next_report().await;
        assert_eq!(handle.stats().await.unwrap().joins, 21);
        assert_eq!(exported.count("shardflight_joins_total", &[]), 30);
        assert_eq!(exported.count("shardflight_bypasses_total", &[]), 3);
    })
    .await;
}

#[tokio::test]
async fn a_shutdown_reports_final_values() {
    limited(async {
        let exported = Exported::new();
        let coalescer = build(&exported, Metrics::named("users").report_every(NEVER));
        let handle = coalescer.handle();
        let mut waiting: Vec<_> = (0..10_u32).map(|key| handle.join(key, pending)).collect();
        waiting.iter_mut().for_each(assert_pending);
        // A leader counts when its work is called.
        settle().await;
        coalescer.shutdown(Duration::ZERO).await;
        eventually(|| exported.count("shardflight_aborts_total", &[]) == 10).await;
        assert_eq!(exported.count("shardflight_joins_total", &[]), 10);
        assert_eq!(exported.count("shardflight_flight_duration_seconds_count", &[("outcome", "closed")]), 10);
        for gauge in GAUGES {
            assert!(exported.seconds(gauge, &[]).abs() < f64::EPSILON, "{gauge}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn reports_keep_no_coalescer_alive() {
    limited(async {
        let exported = Exported::new();
        let coalescer = build(&exported, Metrics::named("users"));
        let handle = coalescer.handle();
        let mut join = handle.join(1_u32, pending);
        assert_pending(&mut join);
        next_report().await;
        assert_eq!(exported.count("shardflight_flights", &[]), 1);
        drop((coalescer, handle, join));
        // The shards stop, and make their final reports.
        settle().await;
        assert_eq!(exported.count("shardflight_flights", &[]), 0);
        next_report().await;
        let tasks = runtime::Handle::current().metrics();
        assert_eq!(tasks.num_alive_tasks(), 0, "a task still reports");
    })
    .await;
}

#[test]
fn a_dropped_runtime_reports_final_values() {
    watched(|| {
        let exported = Exported::new();
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let coalescer = runtime.block_on(async {
            let coalescer = build(&exported, Metrics::named("users").report_every(NEVER));
            coalescer.handle().join(1_u32, || async { 7 }).await.unwrap();
            coalescer
        });
        drop(runtime);
        assert_eq!(exported.count("shardflight_joins_total", &[]), 1);
        drop(coalescer);
    });
}

#[test]
fn reports_need_no_runtime_timers() {
    watched(|| {
        let exported = Exported::new();
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let _inside = runtime.enter();
        let coalescer = build(&exported, Metrics::named("users").report_every(Duration::from_millis(1)));
        runtime.block_on(coalescer.handle().join(1_u32, || async { 7 })).unwrap();
        eventually_blocking(|| exported.count("shardflight_joins_total", &[]) == 1);
    });
}

#[tokio::test]
async fn a_namesake_continues_the_counters() {
    limited(async {
        let exported = Exported::new();
        for calls in 1..=3_u32 {
            let coalescer = build(&exported, Metrics::named("users").report_every(NEVER));
            for key in 0..calls {
                coalescer.handle().join(key, || async { 7 }).await.unwrap();
            }
            drop(coalescer);
            settle().await;
        }
        assert_eq!(exported.count("shardflight_joins_total", &[]), 6);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn no_label_contains_the_key() {
    limited(async {
        let exported = Exported::new();
        let build = || Coalescer::<String, u32>::builder().shards(2).metrics("users").build().unwrap();
        let coalescer = exported.to(build);
        coalescer.handle().join("secret", || async { 7 }).await.unwrap();
        next_report().await;
        let mut labels = exported.labels();
        labels.remove("le");
        assert_eq!(labels.remove("coalescer"), Some(BTreeSet::from(["users".into()])));
        assert_eq!(labels.remove("shard"), Some(["0", "1"].map(String::from).into()));
        let outcomes = ["aborted", "answered", "bypassed", "closed", "left", "panicked", "timed_out", "value"];
        assert_eq!(labels.remove("outcome"), Some(outcomes.map(String::from).into()));
        assert!(labels.is_empty(), "{labels:?}");
    })
    .await;
}

#[tokio::test]
async fn invalid_options_are_rejected() {
    let refused =
        |metrics: Metrics| Coalescer::<u32, u32>::builder().metrics(metrics).build().expect_err("an invalid option");
    assert_eq!(refused(Metrics::named("")), BuildError::UnnamedMetrics);
    assert_eq!(refused(Metrics::named(" \t")), BuildError::UnnamedMetrics);
    let error = refused(Metrics::named("users").report_every(Duration::ZERO));
    assert_eq!(error, BuildError::ZeroReportInterval);
    assert!(error.to_string().contains("report_every is 0"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn without_a_recorder_nothing_is_exported() {
    limited(async {
        let coalescer = Coalescer::<u32, u32>::builder().metrics("users").build().unwrap();
        assert_eq!(coalescer.handle().join(1_u32, || async { 7 }).await.unwrap(), 7);
        next_report().await;
        assert_eq!(coalescer.handle().stats().await.unwrap().joins, 1);
    })
    .await;
}
