//! What a cache exports beside its coalescer.

use std::{collections::BTreeSet, future::pending, time::Duration};

use shardflight::{
    BuildError, Metrics, OnAbandon,
    cache::{Cache, CacheBuildError, CacheBuilder, CacheHandle, CacheStats, Fill, RejectReason, StaleReason},
};
use tokio::{
    runtime,
    time::{advance, pause},
};
use tracing::subscriber::set_default;
use tracing_subscriber::{layer::SubscriberExt, registry};

use crate::events::Events;
use crate::exported::Exported;
use crate::hostile::Panics;
use crate::support::{Gate, assert_pending, in_a_child_process, limited, panic_quietly, settle};

type Users = Cache<u32, u64, &'static str>;
type Load = Result<u64, &'static str>;

const TTL: Duration = Duration::from_mins(1);
const SLOW: Duration = Duration::from_millis(100);
const BACKOFF: Duration = Duration::from_secs(5);
const USERS: [(&str, &str); 1] = [("coalescer", "users")];

/// All counters by their exported names and reasons.
fn counters(stats: &CacheStats) -> Vec<(&'static str, Option<&'static str>, u64)> {
    let mut counters = vec![
        ("shardflight_cache_hits_total", None, stats.hits),
        ("shardflight_cache_stale_hits_total", None, stats.stale_hits),
        ("shardflight_cache_negative_hits_total", None, stats.negative_hits),
        ("shardflight_cache_misses_total", None, stats.misses),
        ("shardflight_cache_loads_total", None, stats.loads),
        ("shardflight_cache_load_errors_total", None, stats.load_errors),
        ("shardflight_cache_refreshes_total", None, stats.refreshes),
        ("shardflight_cache_fail_safe_total", None, stats.fail_safe),
        ("shardflight_cache_evictions_total", None, stats.evictions),
    ];
    let stale = StaleReason::ALL.iter().map(|&reason| (reason.as_str(), stats.stale_by(reason)));
    counters.extend(stale.map(|(reason, count)| ("shardflight_cache_stale_reads_total", Some(reason), count)));
    let rejected = RejectReason::ALL.iter().map(|&reason| (reason.as_str(), stats.rejected_by(reason)));
    counters.extend(rejected.map(|(reason, count)| ("shardflight_cache_rejected_fills_total", Some(reason), count)));
    counters
}

fn builder() -> CacheBuilder<u32, u64, &'static str> {
    // A paused clock runs to the next timer where all tasks wait, so flights have no deadline.
    Users::builder().ttl(TTL).coalescer(|coalescer| coalescer.shards(1).no_flight_deadline())
}

fn build(exported: &Exported, builder: CacheBuilder<u32, u64, &'static str>) -> CacheHandle<u32, u64, &'static str> {
    exported.to(|| builder.build().expect("the options make sense")).handle()
}

async fn report() {
    settle().await;
    advance(Duration::from_secs(1)).await;
    settle().await;
}

fn hits(exported: &Exported, name: &str) -> u64 {
    exported.count("shardflight_cache_hits_total", &[("coalescer", name)])
}

/// Each read is what its comment says.
async fn read_in_every_way(users: &CacheHandle<u32, u64, &'static str>) {
    let (value, gone, down) =
        (|| async { Load::Ok(7) }, || async { Load::Err("gone") }, || async { Load::Err("down") });
    users.get(1_u32, value).await.unwrap(); // a miss
    users.get(1_u32, value).await.unwrap(); // a hit
    users.get(2_u32, gone).await.unwrap_err(); // a miss
    users.get(2_u32, gone).await.unwrap_err(); // a negative hit
    users.get(3_u32, down).await.unwrap_err(); // a miss
    advance(TTL).await;
    users.get(1_u32, value).await.unwrap(); // a stale hit, with a refresh
    settle().await;
    advance(2 * TTL).await;
    users.get(1_u32, down).await.unwrap(); // a miss, covered as its load fails
    users.get(1_u32, down).await.unwrap(); // a stale hit, as the backoff is on
    advance(BACKOFF).await;
    let gate = Gate::new();
    let slow = || gate.then(Load::Ok(8));
    users.get(1_u32, slow()).await.unwrap(); // a miss, covered as its load is slow
    users.get(1_u32, slow()).await.unwrap(); // a stale hit, as that load goes on
    gate.open();
    settle().await;
    users.get_with(4_u32, |_| async { Ok(Fill::new(9).weight(1_000_000)) }).await.unwrap(); // a miss, too heavy
    let gate = Gate::new();
    let mut read = Box::pin(users.get(5_u32, gate.then(Load::Ok(5)))); // a miss, and invalidated
    assert_pending(&mut read);
    settle().await;
    users.invalidate(5_u32).await;
    gate.open();
    read.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn all_numbers_are_exported() {
    limited(async {
        let exported = Exported::new();
        let cache = builder().max_weight(1_000).negative_ttl(TTL).negative_if(|error| *error == "gone");
        let cache = cache.stale_while_revalidate(TTL).stale_if_error(10 * TTL).error_backoff(BACKOFF..=BACKOFF);
        let users = build(&exported, cache.soft_timeout(SLOW).metrics("users"));
        read_in_every_way(&users).await;
        report().await;

        let stats = users.stats();
        assert_eq!((stats.hits, stats.stale_hits, stats.negative_hits, stats.misses), (1, 3, 1, 7));
        assert_eq!((stats.loads, stats.load_errors, stats.refreshes, stats.fail_safe), (8, 2, 1, 4));
        assert!(StaleReason::ALL.iter().map(|&reason| stats.stale_by(reason)).eq([1, 1, 1, 2]), "{stats:?}");
        assert!(RejectReason::ALL.iter().map(|&reason| stats.rejected_by(reason)).eq([1, 1, 0]), "{stats:?}");
        assert_eq!(stats.rejected_fills, 2);
        for (name, reason, counted) in counters(&stats) {
            let reason = reason.map(|reason| ("reason", reason));
            let labels: Vec<_> = USERS.into_iter().chain(reason).collect();
            assert_eq!(exported.count(name, &labels), counted, "{name} {reason:?}");
        }
        assert_eq!((stats.entries, stats.weight), (2, 2));
        assert_eq!(exported.count("shardflight_cache_entries", &USERS), 2);
        assert_eq!(exported.count("shardflight_cache_weight", &USERS), 2);
        assert_eq!(exported.count("shardflight_executions_total", &USERS), stats.loads);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn evictions_and_fills_without_room_are_exported() {
    limited(async {
        let exported = Exported::new();
        let users = build(&exported, builder().max_weight(100).metrics("users"));
        let fill = |weight: u64| move |_| async move { Ok(Fill::new(0).weight(weight)) };
        for key in 0..100_u32 {
            users.get_with(key, fill(1)).await.unwrap();
        }
        // Nothing of its key was evicted lately, so it isn't let in; the next time it is.
        users.get_with(200_u32, fill(40)).await.unwrap();
        assert_eq!((users.stats().rejected_by(RejectReason::NoRoom), users.stats().rejected_fills), (1, 1));
        users.get_with(200_u32, fill(40)).await.unwrap();
        report().await;
        let stats = users.stats();
        assert!(stats.evictions > 0, "{stats:?}");
        assert_eq!(exported.count("shardflight_cache_evictions_total", &USERS), stats.evictions);
        assert_eq!(exported.count("shardflight_cache_rejected_fills_total", &[("reason", "no_room")]), 1);
        assert_eq!(exported.count("shardflight_cache_weight", &USERS), stats.weight);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn loads_are_measured_by_their_ends() {
    limited(async {
        let exported = Exported::new();
        let cache = builder().coalescer(|coalescer| coalescer.on_abandon(OnAbandon::Abort)).metrics("users");
        let users = build(&exported, cache);
        // In parts of a second that binary fractions have.
        let after = async |load: Load, quarters: u32| {
            tokio::time::sleep(quarters * Duration::from_millis(250)).await;
            load
        };
        users.get(1_u32, move || after(Ok(7), 1)).await.unwrap();
        users.get(2_u32, move || after(Err("down"), 2)).await.unwrap_err();
        let negative = move |_| async move { Ok(Fill::negative(after(Err("gone"), 4).await.unwrap_err()).ttl(TTL)) };
        users.get_with(3_u32, negative).await.unwrap_err();
        users.get(4_u32, || async { panic_quietly("in a loader") }).await.unwrap_err();
        let mut left = Box::pin(users.get(5_u32, pending::<Load>));
        assert_pending(&mut left);
        settle().await;
        drop(left);
        settle().await;

        let loads = |end| exported.count("shardflight_cache_load_duration_seconds_count", &[("outcome", end)]);
        assert_eq!(["value", "negative", "failed"].map(loads), [1, 1, 3]);
        let took = |end| exported.seconds("shardflight_cache_load_duration_seconds_sum", &[("outcome", end)]);
        for (end, seconds) in [("value", 0.25), ("negative", 1.0), ("failed", 0.5)] {
            assert!((took(end) - seconds).abs() < 0.01, "{end}: {}", took(end));
        }
        assert_eq!((users.stats().loads, users.stats().load_errors), (5, 3));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn metrics_exist_before_the_first_read() {
    let exported = Exported::new();
    let _users = build(&exported, builder().metrics("users"));
    let names = exported.names();
    assert_eq!(names.iter().filter(|name| name.starts_with("shardflight_cache_")).count(), 11 + 2 + 1);
    for (name, reason, _) in counters(&CacheStats::default()) {
        let reason = reason.map(|reason| ("reason", reason));
        assert_eq!(exported.count(name, reason.as_slice()), 0);
    }
    for name in names {
        assert!(exported.text().contains(&format!("# HELP {name} ")), "{name} is not described");
    }
}

#[tokio::test]
async fn a_cache_without_a_name_exports_nothing() {
    let exported = Exported::new();
    let users = build(&exported, builder());
    users.get(1_u32, || async { Ok(7) }).await.unwrap();
    drop(users);
    settle().await;
    assert_eq!(exported.text(), "");
}

#[tokio::test(start_paused = true)]
async fn the_coalescers_own_metrics_are_those_of_its_flights() {
    limited(async {
        let exported = Exported::new();
        let users = build(&exported, builder().coalescer(|coalescer| coalescer.metrics("loads")));
        users.get(1_u32, || async { Ok(7) }).await.unwrap();
        report().await;
        assert_eq!(exported.count("shardflight_executions_total", &[("coalescer", "loads")]), 1);
        assert!(!exported.text().contains("shardflight_cache"));

        // With both, the cache's is that of both.
        let exported = Exported::new();
        let _users = build(&exported, builder().metrics("users").coalescer(|coalescer| coalescer.metrics("loads")));
        assert_eq!(exported.labels()["coalescer"], BTreeSet::from(["users".into()]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_reports_final_values() {
    limited(async {
        let exported = Exported::new();
        let users = build(&exported, builder().metrics("users"));
        let other = users.clone();
        users.get(1_u32, || async { Ok(7) }).await.unwrap();
        report().await;
        assert_eq!(exported.count("shardflight_cache_entries", &USERS), 1);
        for _ in 0..3 {
            other.get(1_u32, || async { Ok(8) }).await.unwrap();
        }
        drop(users);
        assert_eq!(hits(&exported, "users"), 0, "there is another handle");
        drop(other);
        assert_eq!(hits(&exported, "users"), 3);
        assert_eq!(exported.count("shardflight_cache_entries", &USERS), 0);
        assert_eq!(exported.count("shardflight_cache_weight", &USERS), 0);
        report().await;
        assert_eq!(runtime::Handle::current().metrics().num_alive_tasks(), 0, "a task still reports");
        assert_eq!(hits(&exported, "users"), 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_is_shut_down_reports_on() {
    limited(async {
        let exported = Exported::new();
        let cache = exported.to(|| builder().metrics("users").build().unwrap());
        let users = cache.handle();
        users.get(1_u32, || async { Ok(7) }).await.unwrap();
        cache.shutdown(Duration::ZERO).await;
        users.get(1_u32, || async { Ok(8) }).await.unwrap();
        report().await;
        assert_eq!(hits(&exported, "users"), 1);
        assert_eq!(exported.count("shardflight_cache_entries", &USERS), 1);
        // It still has its name.
        let second = build(&exported, builder().metrics("users"));
        assert_eq!(hits(&exported, "users#2"), 0);
        drop((cache, users, second));
        settle().await;
        let third = build(&exported, builder().metrics("users"));
        third.get(1_u32, || async { Ok(7) }).await.unwrap();
        third.get(1_u32, || async { Ok(7) }).await.unwrap();
        report().await;
        assert_eq!(hits(&exported, "users"), 2, "it continues the counters");
        assert!(!exported.text().contains("users#3"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn caches_of_one_name_are_told_apart() {
    limited(async {
        let exported = Exported::new();
        let (first, second) =
            (build(&exported, builder().metrics("users")), build(&exported, builder().metrics("users")));
        for users in [&first, &second, &second] {
            users.get(1_u32, || async { Ok(7) }).await.unwrap();
        }
        report().await;
        assert_eq!(["users", "users#2"].map(|name| hits(&exported, name)), [0, 1]);
        // The flights of a cache have its label.
        let executions = |name| exported.count("shardflight_executions_total", &[("coalescer", name)]);
        assert_eq!(["users", "users#2"].map(executions), [1, 1]);
        assert_eq!(exported.labels()["coalescer"], BTreeSet::from(["users".into(), "users#2".into()]));
    })
    .await;
}

#[tokio::test]
async fn a_failed_build_takes_no_name() {
    let exported = Exported::new();
    let refused = exported.to(|| builder().metrics(" ").build().expect_err("a blank name"));
    assert!(matches!(refused, CacheBuildError::Coalescer(BuildError::UnnamedMetrics)), "{refused}");
    exported.to(|| builder().metrics("users").jitter(2.0).build().expect_err("an impossible jitter"));
    assert_eq!(exported.text(), "");
    let _users = build(&exported, builder().metrics("users"));
    assert_eq!(exported.labels()["coalescer"], BTreeSet::from(["users".into()]));
}

#[tokio::test(start_paused = true)]
async fn reports_come_at_their_interval() {
    limited(async {
        let exported = Exported::new();
        let metrics = Metrics::named("users").report_every(Duration::from_secs(10));
        let users = build(&exported, builder().metrics(metrics));
        settle().await;
        users.insert(1_u32, 7).await;
        users.get(1_u32, || async { Ok(7) }).await.unwrap();
        advance(Duration::from_secs(9)).await;
        settle().await;
        assert_eq!(hits(&exported, "users"), 0);
        report().await;
        assert_eq!(hits(&exported, "users"), 1);
        report().await;
        assert_eq!(hits(&exported, "users"), 1, "nothing counts twice");
    })
    .await;
}

#[test]
fn a_late_recorder_gets_all_of_a_caches_counts() {
    in_a_child_process("cache::a_late_recorder_gets_all_of_a_caches_counts", || async {
        pause();
        let users = builder().metrics("users").build().unwrap().handle();
        for _ in 0..3 {
            users.get(1_u32, || async { Ok(7) }).await.unwrap();
        }
        report().await;
        let exported = Exported::install();
        report().await;
        // The clock was stopped between two milliseconds, and timers are rounded up.
        report().await;
        assert_eq!(hits(&exported, "users"), 2);
        assert_eq!(exported.count("shardflight_cache_entries", &USERS), 1);
        assert_eq!(exported.count("shardflight_executions_total", &USERS), 1);
        users.get(2_u32, || async { Ok(7) }).await.unwrap();
        let loads = exported.count("shardflight_cache_load_duration_seconds_count", &[]);
        assert_eq!(loads, 1, "loads are measured from now on");
    });
}

#[tokio::test(start_paused = true)]
async fn a_recorder_that_panics_harms_no_read() {
    limited(async {
        for at_registration in [false, true] {
            let recorder = Panics::new(at_registration);
            let cache = metrics::with_local_recorder(&recorder, || builder().metrics("users").build().unwrap());
            let users = cache.handle();
            assert_eq!(users.get(1_u32, || async { Ok(7) }).await, Ok(7));
            assert_eq!(users.get(1_u32, || async { Ok(8) }).await, Ok(7));
            report().await;
            assert!(recorder.calls() > 0);
            drop((cache, users));
            settle().await;
        }
    })
    .await;
}

#[test]
fn a_caches_events_have_its_name() {
    in_a_child_process("cache::a_caches_events_have_its_name", || async {
        pause();
        let events = Events::default();
        let _subscriber = set_default(registry().with(events.clone()));
        for name in [Some("users"), None] {
            let cache = builder().stale_if_error(2 * TTL).soft_timeout(SLOW);
            let cache = if let Some(name) = name { cache.metrics(name) } else { cache };
            let users = cache.build().unwrap().handle();
            users.insert(1_u32, 7).await;
            advance(TTL).await;
            let gate = Gate::new();
            users.get(1_u32, gate.then(Load::Err("down"))).await.unwrap();
            gate.open();
            settle().await;
            let gate = Gate::new();
            let mut read = Box::pin(users.get(2_u32, gate.then(Load::Ok(7))));
            assert_pending(&mut read);
            settle().await;
            users.invalidate(2_u32).await;
            gate.open();
            read.await.unwrap();
        }
        for message in ["cache load failed", "cache load slow", "cache fill rejected", "cache backs off"] {
            let told = events.of(message);
            let names: Vec<_> = told.iter().map(|event| event.get("cache").map(String::as_str)).collect();
            assert_eq!(names, [Some("users"), None], "{message}");
        }
        assert_eq!(events.of("cache fill rejected")[0]["reason"], "invalidated");
    });
}
