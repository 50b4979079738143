//! What an operator sees: single flights, and what is told to tracing.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    future::pending,
    sync::{Arc, Mutex},
    task::{Context as TaskContext, Wake, Waker},
    time::Duration,
};

use futures::future::{join_all, ready};
use shardflight::{Coalescer, Handle, JoinError};
use tokio::time::{advance, sleep};
use tracing::{
    Event, Instrument, Level, Subscriber,
    field::{Field, Visit},
    info_span,
    subscriber::set_default,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry,
    registry::LookupSpan,
};

use crate::support::{embark, in_a_child_process, panic_quietly, settle};

#[derive(Clone, Debug, Default)]
struct Told {
    level: Option<Level>,
    /// The innermost span it was told in.
    span: Option<&'static str>,
    fields: Vec<(String, String)>,
}

impl Told {
    fn get(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(field, _)| field == name);
        &found.unwrap_or_else(|| panic!("no {name} in {self:?}")).1
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.push((field.name().to_owned(), format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.push((field.name().to_owned(), value.to_owned()));
    }
}

/// Remembers what the crate tells.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<Told>>>);

impl Ear {
    fn heard(&self, message: &str) -> Vec<Told> {
        self.0.lock().unwrap().iter().filter(|told| told.get("message") == message).cloned().collect()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Ear {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() == "shardflight" {
            let span = context.event_span(event).map(|span| span.name());
            let mut told = Told { level: Some(*event.metadata().level()), span, ..Told::default() };
            event.record(&mut told);
            self.0.lock().unwrap().push(told);
        }
    }
}

fn listen() -> (Ear, tracing::subscriber::DefaultGuard) {
    let ear = Ear::default();
    (ear.clone(), set_default(registry().with(ear)))
}

fn small(crowd: usize) -> Handle<i32, i32> {
    let builder = Coalescer::builder().shards(1).crowd_threshold(crowd).max_waiters_per_flight(5);
    builder.max_flight_duration(Duration::from_secs(10)).build().unwrap().handle()
}

#[test]
fn a_flight_that_starts_and_lands_is_told_with_what_became_of_it() {
    in_a_child_process("controls::sight::a_flight_that_starts_and_lands_is_told_with_what_became_of_it", || async {
        tokio::time::pause();
        let (ear, _listening) = listen();
        let handle = small(100);
        let work = || async {
            sleep(Duration::from_secs(2)).await;
            7
        };
        join_all((0..3).map(|_| handle.join(1, work)).map(|join| join.instrument(info_span!("caller")))).await;
        let (started, landed) = (ear.heard("flight started"), ear.heard("flight landed"));
        assert_eq!((started.len(), landed.len()), (1, 1));
        assert_eq!((started[0].level, landed[0].level), (Some(Level::DEBUG), Some(Level::DEBUG)));
        assert_eq!(started[0].get("flight"), landed[0].get("flight"));
        assert_eq!(started[0].span, Some("flight"));
        assert_eq!((landed[0].get("outcome"), landed[0].get("waiters")), ("value", "3"));
        let latency: f64 = landed[0].get("latency").parse().unwrap();
        assert!((2.0..2.1).contains(&latency), "{latency}");
    });
}

#[test]
fn each_outcome_has_its_name() {
    in_a_child_process("controls::sight::each_outcome_has_its_name", || async {
        tokio::time::pause();
        let (ear, _listening) = listen();
        let handle = small(100);
        handle.join(1, || async { panic_quietly("broken") }).await.unwrap_err();
        handle.join(1, pending).await.unwrap_err();
        let outcomes: Vec<_> = ear.heard("flight landed").iter().map(|told| told.get("outcome").to_owned()).collect();
        assert_eq!(outcomes, ["panicked", "timed_out"]);
    });
}

#[test]
fn each_flight_is_told_by_a_number_of_its_own() {
    in_a_child_process("controls::sight::each_flight_is_told_by_a_number_of_its_own", || async {
        let (ear, _listening) = listen();
        let handle: Handle<i32, i32> = Coalescer::builder().shards(3).build().unwrap().handle();
        for _ in 0..2 {
            join_all((0..10).map(|key| handle.join(key, || ready(7)))).await;
        }
        let landed = ear.heard("flight landed");
        let numbers: BTreeSet<_> = landed.iter().map(|told| told.get("flight")).collect();
        assert_eq!((landed.len(), numbers.len()), (20, 20), "{numbers:?}");
    });
}

#[test]
fn followers_say_in_their_own_span_which_flight_they_followed() {
    in_a_child_process("controls::sight::followers_say_in_their_own_span_which_flight_they_followed", || async {
        let (ear, _listening) = listen();
        let handle = small(100);
        let leader = handle.join(1, || ready(7)).instrument(info_span!("leader"));
        let follower = handle.join(1, || ready(8)).instrument(info_span!("follower"));
        let _ = tokio::join!(leader, follower);
        let told = ear.heard("flight followed");
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].span, Some("follower"));
        assert_eq!(told[0].get("flight"), ear.heard("flight landed")[0].get("flight"));
    });
}

#[test]
fn a_crowd_is_told_once_at_its_threshold() {
    in_a_child_process("controls::sight::a_crowd_is_told_once_at_its_threshold", || async {
        let (ear, _listening) = listen();
        let handle = small(3);
        let mut callers: Vec<_> = (0..5).map(|_| handle.join(1, pending)).collect();
        for (n, caller) in callers.iter_mut().enumerate() {
            embark(caller);
            settle().await;
            assert_eq!(ear.heard("flight crowded").len(), usize::from(n >= 2), "{n}");
        }
        callers.truncate(1);
        settle().await;
        callers.extend((0..4).map(|_| handle.join(1, pending)));
        callers.iter_mut().for_each(embark);
        settle().await;
        let crowded = ear.heard("flight crowded");
        assert_eq!(crowded.len(), 1);
        assert_eq!((crowded[0].level, crowded[0].get("waiters")), (Some(Level::WARN), "3"));
        assert_eq!(crowded[0].get("flight"), handle.inspect(1).await.unwrap().oldest[0].flight.to_string());
    });
}

#[test]
fn an_overdue_flight_is_told_with_its_age_and_callers() {
    in_a_child_process("controls::sight::an_overdue_flight_is_told_with_its_age_and_callers", || async {
        tokio::time::pause();
        let (ear, _listening) = listen();
        let handle = small(100);
        join_all([handle.join(1, pending), handle.join(1, pending)]).await;
        let overdue = ear.heard("flight overdue");
        assert_eq!(overdue.len(), 1);
        assert_eq!((overdue[0].level, overdue[0].get("waiters")), (Some(Level::WARN), "2"));
        let age: f64 = overdue[0].get("age").parse().unwrap();
        assert!((10.0..10.1).contains(&age), "{age}");
    });
}

struct PanicsInWake;

impl Wake for PanicsInWake {
    fn wake(self: Arc<Self>) {
        panic_quietly("in a waker");
    }
}

#[test]
fn a_shard_that_recovered_from_a_panic_is_told_by_its_number() {
    in_a_child_process("controls::sight::a_shard_that_recovered_from_a_panic_is_told_by_its_number", || async {
        let (ear, _listening) = listen();
        let handle: Handle<i32, i32> = Coalescer::builder().shards(3).build().unwrap().handle();
        let waker = Waker::from(Arc::new(PanicsInWake));
        // Of so many keys, each shard has one.
        for key in 0..100 {
            let mut question = Box::pin(handle.forget(key));
            assert!(question.as_mut().poll(&mut TaskContext::from_waker(&waker)).is_pending());
            settle().await;
            assert!(!question.await.unwrap());
        }
        let told = ear.heard("shard recovered from a panic");
        let shards: BTreeSet<_> = told.iter().map(|told| told.get("shard")).collect();
        assert_eq!((told.len(), Vec::from_iter(shards)), (100, vec!["0", "1", "2"]));
    });
}

#[test]
fn a_refused_join_is_told_with_the_reason() {
    in_a_child_process("controls::sight::a_refused_join_is_told_with_the_reason", || async {
        let (ear, _listening) = listen();
        let handle = small(100);
        let mut callers: Vec<_> = (0..5).map(|_| handle.join(1, pending)).collect();
        callers.iter_mut().for_each(embark);
        assert!(handle.join(1, pending).await.is_err());
        let rejected = ear.heard("join rejected");
        assert_eq!(rejected.len(), 1);
        assert_eq!((rejected[0].level, rejected[0].get("reason")), (Some(Level::DEBUG), "too_many_waiters"));
        assert!(ear.heard("flight landed").is_empty(), "nobody landed");
    });
}

/// Panics whenever it is told of an event of the crate's.
struct Breaks;

impl<S: Subscriber> Layer<S> for Breaks {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "shardflight" {
            panic_quietly("a broken subscriber");
        }
    }
}

#[test]
fn a_subscriber_that_panics_where_a_shard_tells_it_something_harms_nobody() {
    in_a_child_process(
        "controls::sight::a_subscriber_that_panics_where_a_shard_tells_it_something_harms_nobody",
        || async {
            tokio::time::pause();
            let _subscriber = set_default(registry().with(Breaks));
            let handle = small(1);
            for key in 0..10 {
                assert_eq!(handle.join(key, || ready(7)).await.unwrap(), 7);
            }
            assert!(matches!(handle.join(1, pending).await, Err(JoinError::TimedOut { .. })));
            let mut callers: Vec<_> = (0..5).map(|_| handle.join(1, pending)).collect();
            callers.iter_mut().for_each(embark);
            assert!(matches!(handle.join(1, pending).await, Err(JoinError::TooManyWaiters { limit: 5 })));
            drop(callers);
            handle.forget(1).await.unwrap();
            assert_eq!(handle.join(1, || ready(7)).await.unwrap(), 7);
        },
    );
}

#[test]
fn inspecting_shows_the_most_crowded_and_the_oldest() {
    in_a_child_process("controls::sight::inspecting_shows_the_most_crowded_and_the_oldest", || async {
        tokio::time::pause();
        let builder = Coalescer::<i32, i32>::builder().shards(4).describe(|key| format!("number {key}"));
        let coalescer = builder.build().unwrap();
        let handle = coalescer.handle();
        let mut callers = Vec::new();
        for key in 0..20 {
            callers.extend((0..=key).map(|_| handle.join(key, pending)));
            callers.iter_mut().for_each(embark);
            handle.stats().await.unwrap();
            advance(Duration::from_secs(1)).await;
        }
        let seen = coalescer.inspect(3).await.unwrap();
        let crowded: Vec<_> =
            seen.crowded.iter().map(|flight| (flight.description.as_deref().unwrap(), flight.waiters)).collect();
        assert_eq!(crowded, [("number 19", 20), ("number 18", 19), ("number 17", 18)]);
        let oldest: Vec<_> =
            seen.oldest.iter().map(|flight| (flight.description.as_deref().unwrap(), flight.age.as_secs())).collect();
        assert_eq!(oldest, [("number 0", 20), ("number 1", 19), ("number 2", 18)]);
        let all = handle.inspect(usize::MAX).await.unwrap();
        assert_eq!((all.crowded.len(), all.oldest.len()), (20, 20));
        let stats = handle.stats().await.unwrap();
        for (number, shard) in stats.per_shard().iter().enumerate() {
            assert_eq!(all.oldest.iter().filter(|flight| flight.shard == number).count(), shard.flights);
        }
        let none = handle.inspect(0).await.unwrap();
        assert!(none.crowded.is_empty() && none.oldest.is_empty());
    });
}

#[test]
fn keys_are_not_shown_unless_described() {
    in_a_child_process("controls::sight::keys_are_not_shown_unless_described", || async {
        let handle = small(100);
        let mut caller = handle.join(1, pending);
        embark(&mut caller);
        let seen = handle.inspect(1).await.unwrap();
        assert!(seen.crowded[0].description.is_none() && seen.oldest[0].description.is_none());
    });
}

#[test]
fn a_description_that_panics_is_none_and_hurts_nobody() {
    in_a_child_process("controls::sight::a_description_that_panics_is_none_and_hurts_nobody", || async {
        let describe = |key: &i32| if *key == 1 { panic_quietly("indescribable") } else { key.to_string() };
        let handle = Coalescer::<i32, i32>::builder().shards(1).describe(describe).build().unwrap().handle();
        let mut callers = [handle.join(1, pending), handle.join(2, pending)];
        callers.iter_mut().for_each(embark);
        let seen = handle.inspect(2).await.unwrap();
        let descriptions: Vec<_> = seen.oldest.iter().map(|flight| flight.description.as_deref()).collect();
        assert_eq!(descriptions, [None, Some("2")]);
        assert_eq!(handle.join(3, || ready(7)).await.unwrap(), 7);
    });
}

#[test]
fn every_join_is_an_execution_coalesced_a_rejection_or_a_bypass() {
    in_a_child_process("controls::sight::every_join_is_an_execution_coalesced_a_rejection_or_a_bypass", || async {
        let handle = small(100);
        let mut callers: Vec<_> = (0..8).map(|_| handle.join(1, pending)).collect();
        callers.iter_mut().for_each(embark);
        handle.stats().await.unwrap();
        handle.set_enabled(false);
        join_all((0..4).map(|key| handle.join(key, || ready(7)))).await;
        handle.set_enabled(true);
        let inner = handle.clone();
        let circle = handle.join(2, || async move { i32::from(inner.join(2, pending).await.is_err()) });
        assert_eq!(circle.await.unwrap(), 1);
        let stats = handle.stats().await.unwrap();
        let parts = (stats.executions, stats.coalesced, stats.rejections, stats.bypasses);
        assert_eq!((stats.joins, parts), (14, (2, 4, 4, 4)));
    });
}
