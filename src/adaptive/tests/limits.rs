//! Limits that flights get, on a paused clock.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{future::join_all, poll};
use tokio::time::{Instant, advance, sleep, timeout};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use crate::{Adaptive, Builder, Coalescer, Handle, JoinError, OnAbandon, OnExpiry, trace::listening::listen};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const CEILING: Duration = Duration::from_secs(20);
const WINDOW: Duration = Duration::from_secs(10);

/// A p90, of ten flights at least, times two.
fn adaptive() -> Adaptive {
    Adaptive::p90().times(2.0).between(5 * MILLI..=CEILING).min_samples(10).window(WINDOW)
}

fn learning(adaptive: Adaptive) -> Handle<u8, u8> {
    with(|builder| builder, adaptive)
}

fn with(options: impl FnOnce(Builder<u8, u8>) -> Builder<u8, u8>, adaptive: Adaptive) -> Handle<u8, u8> {
    options(Coalescer::builder().shards(2)).adaptive_flight_duration(adaptive).build().unwrap().handle()
}

async fn limited(test: impl Future<Output = ()>) {
    timeout(36_000 * SECOND, test).await.expect("the test hangs");
}

/// As many flights at once, each of which takes so long.
async fn flights(handle: &Handle<u8, u8>, number: u8, time: Duration) -> Vec<Result<u8, JoinError>> {
    // Longer than the pause between two computations, so that the last flights are in one.
    advance(SECOND).await;
    let flight = |key| {
        handle.join(key, move || async move {
            sleep(time).await;
            key
        })
    };
    let answers = join_all((1..number).map(flight)).await;
    advance(SECOND).await;
    let last = flight(0).await;
    answers.into_iter().chain([last]).collect()
}

fn limit(handle: &Handle<u8, u8>) -> Duration {
    handle.flight_duration_limit().expect("one is learned")
}

/// To within a bucket of the histogram, and the timer's millisecond.
fn is_twice(limit: Duration, time: Duration) -> bool {
    limit >= 2 * time && limit < 2 * (time + time / 16 + 2 * MILLI)
}

fn timeouts(answers: &[Result<u8, JoinError>]) -> usize {
    answers.iter().filter(|answer| matches!(answer, Err(JoinError::TimedOut { .. }))).count()
}

#[tokio::test(start_paused = true)]
async fn the_ceiling_holds_until_enough_flights_have_returned() {
    limited(async {
        let handle = learning(adaptive());
        flights(&handle, 9, 100 * MILLI).await;
        assert_eq!(limit(&handle), CEILING);
        let begun = Instant::now();
        assert!(matches!(handle.join(7, pending).await, Err(JoinError::TimedOut { after: CEILING })));
        assert_eq!(begun.elapsed().as_secs(), CEILING.as_secs());
        // That flight is none that returned; and those before it are in no window any more.
        flights(&handle, 9, 100 * MILLI).await;
        assert_eq!(limit(&handle), CEILING);
        flights(&handle, 1, 100 * MILLI).await;
        assert!(is_twice(limit(&handle), 100 * MILLI), "{:?}", limit(&handle));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_flight_has_the_limit_that_holds_when_it_starts() {
    limited(async {
        let handle = learning(adaptive());
        flights(&handle, 20, 100 * MILLI).await;
        let learned = limit(&handle);
        let mut hung = handle.join(77, pending);
        assert!(poll!(&mut hung).is_pending());
        let begun = Instant::now();
        flights(&handle, 20, 10 * MILLI).await;
        assert!(matches!(hung.await, Err(JoinError::TimedOut { after }) if after == learned));
        assert!(begun.elapsed() >= learned);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_time_in_the_queue_is_not_learned() {
    limited(async {
        // Each waits for those before it, the last for two seconds.
        let handle = with(|builder| builder.max_executions(1), adaptive());
        let answers = flights(&handle, 21, 100 * MILLI).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert!(is_twice(limit(&handle), 100 * MILLI), "{:?}", limit(&handle));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_limit_follows_a_slower_backend_and_comes_back() {
    limited(async {
        let handle = learning(adaptive());
        flights(&handle, 40, 100 * MILLI).await;
        let answers = flights(&handle, 40, 300 * MILLI).await;
        assert_eq!(timeouts(&answers), 40, "the limit of before");
        assert_eq!(timeouts(&flights(&handle, 40, 300 * MILLI).await), 0);
        advance(2 * WINDOW).await;
        assert_eq!(timeouts(&flights(&handle, 40, 300 * MILLI).await), 0);
        assert!(is_twice(limit(&handle), 300 * MILLI), "{:?}", limit(&handle));
        advance(2 * WINDOW).await;
        flights(&handle, 40, 100 * MILLI).await;
        assert!(is_twice(limit(&handle), 100 * MILLI), "{:?}", limit(&handle));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_limit_stays_between_floor_and_ceiling() {
    limited(async {
        let handle = learning(adaptive().between(50 * MILLI..=400 * MILLI));
        flights(&handle, 20, MILLI).await;
        assert_eq!(limit(&handle), 50 * MILLI);
        advance(3 * WINDOW).await;
        assert_eq!(timeouts(&flights(&handle, 20, 399 * MILLI).await), 0);
        assert_eq!(limit(&handle), 400 * MILLI);
        assert_eq!(timeouts(&flights(&handle, 20, SECOND).await), 20, "the ceiling is the most");
        assert_eq!(limit(&handle), 400 * MILLI);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_handles_own_limit_wins() {
    limited(async {
        let handle = learning(adaptive());
        flights(&handle, 20, 10 * MILLI).await;
        let patient = handle.with_max_flight_duration(60 * SECOND).unwrap();
        assert_eq!(limit(&patient), 60 * SECOND, "even beyond the ceiling");
        assert!(limit(&handle) < SECOND);
        let slow = || async {
            sleep(59 * SECOND).await;
            7
        };
        assert_eq!(patient.join(1, slow).await.unwrap(), 7);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_forgotten() {
    limited(async {
        let handle = learning(adaptive());
        flights(&handle, 20, 10 * MILLI).await;
        advance(WINDOW / 2).await;
        assert!(is_twice(limit(&handle), 10 * MILLI));
        advance(2 * WINDOW).await;
        assert_eq!(limit(&handle), CEILING, "also where no flight has ended since");
        flights(&handle, 9, 10 * MILLI).await;
        assert_eq!(limit(&handle), CEILING, "nothing old is counted");
        flights(&handle, 1, 10 * MILLI).await;
        assert!(is_twice(limit(&handle), 10 * MILLI));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn panics_and_departures_shorten_nothing() {
    limited(async {
        let handle = with(|builder| builder.on_abandon(OnAbandon::Abort), adaptive());
        flights(&handle, 20, 100 * MILLI).await;
        for key in 100..200 {
            let mut left = handle.join(key, pending);
            assert!(poll!(&mut left).is_pending());
            drop(left);
            let panics = handle.join(key, || async { std::panic::resume_unwind(Box::new("no")) }).await;
            assert!(matches!(panics, Err(JoinError::Panicked(_))));
        }
        flights(&handle, 1, 100 * MILLI).await;
        assert!(is_twice(limit(&handle), 100 * MILLI), "{:?}", limit(&handle));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn callers_that_leave_slow_work_hide_nothing() {
    limited(async {
        let handle = with(|builder| builder.on_abandon(OnAbandon::Abort), adaptive());
        flights(&handle, 20, 100 * MILLI).await;
        let left: Vec<_> = (100..150).map(|key| timeout(150 * MILLI, handle.join(key, pending))).collect();
        assert!(join_all(left).await.iter().all(Result::is_err), "callers that give up before the limit");
        flights(&handle, 1, 100 * MILLI).await;
        assert!(is_twice(limit(&handle), 150 * MILLI), "{:?}", limit(&handle));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn detached_work_counts_with_all_of_its_time() {
    limited(async {
        let handle = with(|builder| builder.on_expiry(OnExpiry::Detach), adaptive());
        flights(&handle, 20, 100 * MILLI).await;
        assert_eq!(timeouts(&flights(&handle, 40, 3 * SECOND).await), 0);
        assert!(is_twice(limit(&handle), 3 * SECOND), "{:?}", limit(&handle));
        assert!(handle.stats().await.unwrap().timeouts >= 39);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn work_extends_a_learned_limit() {
    limited(async {
        let handle =
            with(|builder| builder.max_extended_duration(CEILING * 2).max_flight_duration(CEILING), adaptive());
        flights(&handle, 20, 100 * MILLI).await;
        let inside = handle.clone();
        let work = move || async move {
            let flight = inside.current_flight().unwrap();
            for _ in 0..10 {
                flight.extend(150 * MILLI).await.unwrap();
                sleep(140 * MILLI).await;
            }
            7
        };
        assert_eq!(handle.join(1, work).await.unwrap(), 7);
    })
    .await;
}

/// The fields of each event of the limit: limit and before in milliseconds, and flights.
#[derive(Clone, Default)]
struct Moves(Arc<Mutex<Vec<(u64, u64, u64)>>>);

impl<S: Subscriber> Layer<S> for Moves {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        #[derive(Default)]
        struct Read(u64, u64, u64);
        impl Visit for Read {
            fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "milliseconds of a test")]
            fn record_f64(&mut self, field: &Field, value: f64) {
                let millis = (value * 1e3) as u64;
                if field.name() == "limit" { self.0 = millis } else { self.1 = millis }
            }
            fn record_u64(&mut self, _: &Field, value: u64) {
                self.2 = value;
            }
        }
        if event.metadata().target() == "shardflight" && *event.metadata().level() == tracing::Level::INFO {
            let mut read = Read::default();
            event.record(&mut read);
            self.0.lock().unwrap().push((read.0, read.1, read.2));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_moves_far_is_told_once() {
    let moves = Moves::default();
    let _listening = listen(moves.clone());
    limited(async {
        let handle = learning(adaptive().between(20 * MILLI..=CEILING));
        let told = || std::mem::take(&mut *moves.0.lock().unwrap());
        flights(&handle, 20, 100 * MILLI).await;
        let [(near_200, 20_000, 19 | 20)] = told()[..] else { panic!("the first that is learned") };
        assert!((200..250).contains(&near_200), "{near_200}");
        flights(&handle, 20, 110 * MILLI).await;
        assert_eq!(told(), [], "it has hardly moved");
        advance(3 * WINDOW).await;
        flights(&handle, 20, MILLI).await;
        let events = told();
        assert_eq!(events.last().map(|last| last.0), Some(20), "{events:?}");
        flights(&handle, 20, MILLI).await;
        assert_eq!(told(), [], "it is at its floor still");
    })
    .await;
}

#[cfg(feature = "metrics")]
#[tokio::test(start_paused = true)]
async fn the_limit_is_exported() {
    limited(async {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let exported = |value: &str| {
            let line = format!("shardflight_flight_duration_limit_seconds{{coalescer=\"learning\"}} {value}");
            recorder.handle().render().lines().any(|exported| exported == line)
        };
        let build = || with(|builder| builder.metrics("learning"), adaptive().between(20 * MILLI..=CEILING));
        let handle = metrics::with_local_recorder(&recorder, build);
        sleep(2 * SECOND).await;
        assert!(exported("20"), "the ceiling");
        flights(&handle, 20, MILLI).await;
        sleep(2 * SECOND).await;
        assert!(exported("0.02"), "the floor");
    })
    .await;
}
