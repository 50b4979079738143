//! Stats, metrics and events agree number by number (G14), under loads that move every counter. They run in processes of their
//! own, as the cache of which events are enabled is global.

use std::{
    collections::hash_map::DefaultHasher,
    hash::BuildHasherDefault,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use futures::join;
use shardflight::{Coalescer, Handle, Hedge, JoinError, OnAbandon, OnStall, Priority, Stats, TryJoinError};
use tokio::time::{sleep, timeout};
use tracing::subscriber::set_default;
use tracing_subscriber::{layer::SubscriberExt, registry};

use crate::{
    events::{COMPLETED, Events, OVERDUE, REJECTED, STARTED},
    exported::Exported,
    support::{at_rest, in_a_child_process, panic_quietly, settle},
    totals::counters,
};

const CALLERS: u64 = 600;
const MAX_FLIGHT_DURATION: Duration = Duration::from_millis(40);
const MAX_WAIT: Duration = Duration::from_millis(12);

type Callers = Handle<u64, Result<u64, u64>, BuildHasherDefault<DefaultHasher>>;

/// The outcomes as the callers saw them.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tally {
    answered: u64,
    left: u64,
    bypassed: u64,
    rejected: u64,
    forgotten: u64,
}

#[derive(Clone, Copy)]
enum WorkEnd {
    Value,
    Error,
    Panic,
    Overdue,
    Reentrant,
}

impl WorkEnd {
    fn any(random: &mut Rng) -> Self {
        let ends = [Self::Value, Self::Value, Self::Value, Self::Error, Self::Panic, Self::Overdue, Self::Reentrant];
        ends[random.usize(..ends.len())]
    }
}

async fn work(callers: Callers, key: u64, end: WorkEnd, time: Duration) -> Result<u64, u64> {
    sleep(time).await;
    match end {
        WorkEnd::Value => Ok(key),
        WorkEnd::Error => Err(key),
        WorkEnd::Panic => panic_quietly("broken"),
        WorkEnd::Overdue => {
            sleep(MAX_FLIGHT_DURATION).await;
            Ok(key)
        }
        WorkEnd::Reentrant => match callers.try_join(key, || async { Ok(7) }).await {
            Err(TryJoinError::Join(JoinError::Reentrant)) => Ok(key),
            // Its key was forgotten, and it leads or follows another flight.
            other => other.map_err(|_| key),
        },
    }
}

/// One caller: it joins after a delay, and waits, leaves, or has a short wait timeout.
async fn call(callers: Callers, seed: u64, tally: Arc<Mutex<Tally>>) {
    let mut random = Rng::with_seed(seed);
    let mut milliseconds = |most| Duration::from_millis(random.u64(1..most));
    let (arrival, time, stay) = (milliseconds(400), milliseconds(25), milliseconds(25));
    let (key, end, manner) = (random.u64(..24), WorkEnd::any(&mut random), random.u8(..4));
    sleep(arrival).await;
    let caller = if manner == 0 { callers.with_max_wait(MAX_WAIT) } else { callers.clone() };
    let join = caller.try_join(key, move || work(callers, key, end, time));
    let answer = if manner == 1 { timeout(stay, join).await } else { Ok(join.await) };
    let mut tally = tally.lock().unwrap();
    match answer {
        Err(_) | Ok(Err(TryJoinError::Join(JoinError::TimedOut { after: MAX_WAIT }))) => tally.left += 1,
        Ok(Err(TryJoinError::Join(
            JoinError::TooManyWaiters { .. } | JoinError::TooManyFlights { .. } | JoinError::Reentrant,
        ))) => {
            tally.answered += 1;
            tally.rejected += 1;
        }
        Ok(_) => tally.answered += 1,
    }
}

/// Forgets keys at random, and makes joins that bypass the shards.
async fn interfere(callers: &Callers, random: &mut Rng, tally: &Mutex<Tally>) {
    for _ in 0..80 {
        sleep(Duration::from_millis(5)).await;
        let forgotten = match random.u8(..4) {
            0 => callers.forget_all().await.unwrap() as u64,
            1 | 2 => u64::from(callers.forget(random.u64(..24)).await.unwrap()),
            _ => {
                callers.set_enabled(false);
                // Completes in its first poll, so that no other caller bypasses the shards.
                callers.try_join(random.u64(..24), || async { Ok(7) }).await.unwrap();
                callers.set_enabled(true);
                tally.lock().unwrap().bypassed += 1;
                0
            }
        };
        tally.lock().unwrap().forgotten += forgotten;
    }
}

fn build(exported: &Exported) -> Coalescer<u64, Result<u64, u64>, BuildHasherDefault<DefaultHasher>> {
    let builder = Coalescer::builder().shards(3).hasher(BuildHasherDefault::default()).metrics("users");
    let builder = builder.max_waiters_per_flight(5).max_flights(14).on_abandon(OnAbandon::Abort);
    exported.to(|| builder.max_flight_duration(MAX_FLIGHT_DURATION).build().expect("inside a runtime"))
}

async fn play(seed: u64) -> Stats {
    let (exported, events, tally) = (Exported::new(), Events::default(), Arc::new(Mutex::new(Tally::default())));
    let _subscriber = set_default(registry().with(events.clone()));
    let coalescer = build(&exported);
    let callers = coalescer.handle();
    let mut random = Rng::with_seed(seed);
    let calls: Vec<_> =
        (0..CALLERS).map(|_| tokio::spawn(call(callers.clone(), random.u64(..), Arc::clone(&tally)))).collect();
    interfere(&callers, &mut random, &tally).await;
    for call in calls {
        call.await.unwrap();
    }
    let stats = at_rest(&callers).await;
    coalescer.shutdown(Duration::ZERO).await;
    settle().await;
    let tally = tally.lock().unwrap().clone();
    compare_metrics(&stats, &exported, &tally);
    compare_events(&stats, &exported, &events);
    stats
}

/// What is counted of executions that have a limit, and of those beyond a flight's first.
const OF_EXECUTIONS: [&str; 7] = [
    "shardflight_queued_total",
    "shardflight_shed_total",
    "shardflight_raised_total",
    "shardflight_takeovers_total",
    "shardflight_hedges_total",
    "shardflight_hedges_won_total",
    "shardflight_hedges_denied_total",
];

/// Moves those counters.
async fn play_executions() -> Stats {
    let exported = Exported::new();
    let takeover = OnStall::Takeover { after: MAX_WAIT, at_most: 1 };
    let builder = Coalescer::<u64, Result<u64, u64>>::builder().shards(3).metrics("users");
    let builder = builder
        .hasher(BuildHasherDefault::<DefaultHasher>::default())
        .max_executions(2)
        .max_queued(1)
        .on_stall(takeover);
    let coalescer = exported.to(|| builder.build().expect("inside a runtime"));
    let callers = coalescer.handle();
    let takes = |key, time| {
        move || async move {
            sleep(time).await;
            Ok(key)
        }
    };
    let join = |class, key| callers.with_priority(class).try_join(key, takes(key, MAX_WAIT / 2));
    // Two run, one waits and is raised, and one is given up.
    let shed = join(Priority::Low, 3);
    let (_, _, _, _, shed) = join!(
        join(Priority::Normal, 0),
        join(Priority::Normal, 1),
        join(Priority::Background, 2),
        join(Priority::High, 2),
        shed,
    );
    assert!(matches!(shed, Err(TryJoinError::Join(JoinError::Overloaded { limit: 1 }))), "{shed:?}");
    let (stalled, taken_over) =
        join!(callers.try_join(4_u64, takes(4, 10 * MAX_WAIT)), callers.try_join(4_u64, takes(5, Duration::ZERO)));
    assert_eq!((stalled, taken_over), (Ok(5), Ok(5)));
    for key in 10..30_u64 {
        let calls = AtomicU64::new(0);
        let slow_once = move || {
            let time = if calls.fetch_add(1, Ordering::Relaxed) == 0 { 2 * MAX_WAIT } else { Duration::ZERO };
            takes(key, time)()
        };
        assert_eq!(callers.try_join_hedged(key, Hedge::after(MAX_WAIT / 2), slow_once).await, Ok(key));
    }
    let stats = at_rest(&callers).await;
    coalescer.shutdown(Duration::ZERO).await;
    settle().await;
    compare_counters(&stats, &exported);
    stats
}

fn compare_counters(stats: &Stats, exported: &Exported) {
    for (name, counted) in counters(stats) {
        assert_eq!(exported.count(name, &[]), counted, "{name}");
        for (shard, of_shard) in stats.per_shard().iter().enumerate() {
            let counted = counters(of_shard).into_iter().find(|(of, _)| *of == name).unwrap().1;
            assert_eq!(exported.count(name, &[("shard", &shard.to_string())]), counted, "{name} of {shard}");
        }
    }
}

fn compare_metrics(stats: &Stats, exported: &Exported, tally: &Tally) {
    compare_counters(stats, exported);
    let flights = |outcome| exported.count("shardflight_flight_duration_seconds_count", &[("outcome", outcome)]);
    assert_eq!(exported.count("shardflight_flight_duration_seconds_count", &[]), stats.executions);
    assert_eq!(exported.count("shardflight_flight_waiters_count", &[]), stats.executions);
    let ends = [flights("panicked"), flights("timed_out"), flights("aborted"), flights("closed")];
    assert_eq!(ends, [stats.panics, stats.timeouts, stats.aborts, 0]);
    let waits = |outcome| exported.count("shardflight_wait_duration_seconds_count", &[("outcome", outcome)]);
    assert_eq!(waits("bypassed"), stats.bypasses);
    assert_eq!(waits("left"), stats.departures);
    assert_eq!(waits("answered"), stats.joins - stats.bypasses - stats.departures);
    assert_eq!((tally.bypassed, tally.forgotten), (stats.bypasses, stats.forgets));
    // Inequalities, as joins made by work are not in the tally.
    assert!(tally.answered <= waits("answered") && tally.left <= waits("left") && tally.rejected <= stats.rejections);
}

fn compare_events(stats: &Stats, exported: &Exported, events: &Events) {
    let completed = events.of(COMPLETED);
    assert_eq!(events.of(STARTED).len() as u64, stats.executions);
    assert_eq!(events.of(OVERDUE).len() as u64, stats.timeouts);
    assert_eq!(events.of(REJECTED).len() as u64, stats.rejections);
    for outcome in ["value", "panicked", "timed_out", "aborted", "closed"] {
        let reported = completed.iter().filter(|event| event["outcome"] == outcome).count() as u64;
        assert_eq!(exported.count("shardflight_flight_duration_seconds_count", &[("outcome", outcome)]), reported);
    }
    let waiters: u64 = completed.iter().map(|event| event["waiters"].parse::<u64>().unwrap()).sum();
    assert_eq!(exported.count("shardflight_flight_waiters_sum", &[]), waiters);
    let latency: f64 = completed.iter().map(|event| event["latency"].parse::<f64>().unwrap()).sum();
    let measured = exported.seconds("shardflight_flight_duration_seconds_sum", &[]);
    assert!((measured - latency).abs() < 1e-6, "{measured} and {latency}");
}

#[test]
fn stats_metrics_and_events_agree_number_by_number() {
    in_a_child_process("agreement::stats_metrics_and_events_agree_number_by_number", || async {
        tokio::time::pause();
        for seed in 0..5 {
            let stats = play(seed).await;
            let unmoved: Vec<_> = unmoved(&stats).collect();
            assert_eq!(unmoved, OF_EXECUTIONS, "the load doesn't move every other counter: {stats:?}");
        }
    });
}

#[test]
fn what_is_counted_of_executions_agrees() {
    in_a_child_process("agreement::what_is_counted_of_executions_agrees", || async {
        tokio::time::pause();
        let stats = play_executions().await;
        let moved = OF_EXECUTIONS.into_iter().all(|name| unmoved(&stats).all(|unmoved| unmoved != name));
        assert!(moved, "the load doesn't move all of them: {stats:?}");
    });
}

fn unmoved(stats: &Stats) -> impl Iterator<Item = &'static str> {
    counters(stats).into_iter().filter(|(_, counted)| *counted == 0).map(|(name, _)| name)
}
