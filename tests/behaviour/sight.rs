//! What an operator sees. What tracing hears is heard in a process of its own: whether an event is wanted at all is
//! remembered for the whole process, and other tests have no subscriber.

use std::{collections::BTreeMap, future::pending, time::Duration};

use shardflight::{Coalescer, Handle, OnExpiry};
use tracing::{Event, Subscriber, subscriber::set_default};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt, registry};

use crate::{
    heard::{Fields, Heard},
    support::{Gate, at_rest, embark, in_a_child_process, limited, settle},
};

fn coalescer() -> Handle<u32, u32> {
    let builder = Coalescer::builder().shards(1).crowd_threshold(3).max_waiters_per_flight(4);
    builder.max_flight_duration(Duration::from_secs(5)).on_expiry(OnExpiry::Fail).build().unwrap().handle()
}

#[test]
fn a_flights_life_is_told() {
    in_a_child_process("sight::a_flights_life_is_told", || async {
        tokio::time::pause();
        let heard = Heard::default();
        let _subscriber = set_default(registry().with(heard.clone()));
        let handle = coalescer();
        let work = || async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            7
        };
        let _ = tokio::join!(handle.join(1_u32, work), handle.join(1_u32, work));
        assert_eq!(heard.of("flight started").len(), 1);
        let landed = &heard.of("flight landed")[0];
        assert_eq!((landed["outcome"].as_str(), landed["waiters"].as_str()), ("\"value\"", "2"));
        let latency: f64 = landed["latency"].parse().unwrap();
        assert!((2.0..2.1).contains(&latency), "{latency}");
        let followed = heard.of("flight followed");
        assert_eq!(followed.len(), 1, "a leader follows nobody");
        assert_eq!(followed[0]["flight"], landed["flight"]);
    });
}

#[test]
fn a_crowd_is_told_once_per_flight_and_a_refusal_each_time() {
    in_a_child_process("sight::a_crowd_is_told_once_per_flight_and_a_refusal_each_time", || async {
        tokio::time::pause();
        let heard = Heard::default();
        let _subscriber = set_default(registry().with(heard.clone()));
        let handle = coalescer();
        let mut joins: Vec<_> = (0..6).map(|_| handle.join(1_u32, pending)).collect();
        for join in &mut joins {
            embark(join);
        }
        settle().await;
        let crowded = heard.of("flight crowded");
        assert_eq!(crowded.len(), 1);
        assert_eq!((crowded[0]["waiters"].as_str(), crowded[0]["level"].as_str()), ("3", "WARN"));
        let rejected = heard.of("join rejected");
        assert_eq!(rejected.len(), 2);
        assert_eq!(rejected[0]["reason"], "\"too_many_waiters\"");
    });
}

#[test]
fn a_late_flight_is_told() {
    in_a_child_process("sight::a_late_flight_is_told", || async {
        tokio::time::pause();
        let heard = Heard::default();
        let _subscriber = set_default(registry().with(heard.clone()));
        assert!(coalescer().join(1_u32, pending).await.is_err());
        let overdue = &heard.of("flight overdue")[0];
        assert_eq!((overdue["waiters"].as_str(), overdue["level"].as_str()), ("1", "WARN"));
        assert!(overdue["age"].parse::<f64>().unwrap() >= 5.0);
        assert_eq!(heard.of("flight landed")[0]["outcome"], "\"timed_out\"");
    });
}

#[test]
fn a_subscriber_that_panics_harms_no_shard() {
    in_a_child_process("sight::a_subscriber_that_panics_harms_no_shard", || async {
        struct Panics;
        impl<S: Subscriber> Layer<S> for Panics {
            fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
                let mut fields = BTreeMap::new();
                event.record(&mut Fields(&mut fields));
                if fields["message"] == "flight landed" {
                    crate::support::panic_quietly("in a subscriber");
                }
            }
        }
        let _subscriber = set_default(registry().with(Panics));
        let handle = coalescer();
        for key in 0..10_u32 {
            assert_eq!(handle.join(key, move || async move { key }).await.unwrap(), key);
        }
        at_rest(&handle).await;
    });
}

#[tokio::test(start_paused = true)]
async fn inspecting_shows_the_most_crowded_and_the_oldest_of_all_shards() {
    let describe = |key: &u32| {
        assert_ne!(*key, 2, "not for everyone's eyes");
        format!("order {key}")
    };
    let coalescer = Coalescer::<u32, u32>::builder().shards(4).describe(describe).build().unwrap();
    let handle = coalescer.handle();
    let mut joins = Vec::new();
    for key in 1..=10_u32 {
        for _ in 0..key {
            let mut join = handle.join(key, pending);
            embark(&mut join);
            joins.push(join);
        }
        settle().await;
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let inspection = coalescer.inspect(3).await.unwrap();
    let crowded: Vec<_> = inspection.crowded.iter().map(|flight| flight.waiters).collect();
    assert_eq!(crowded, [10, 9, 8]);
    let oldest: Vec<_> = inspection.oldest.iter().map(|flight| flight.description.as_deref()).collect();
    assert_eq!(oldest, [Some("order 1"), None, Some("order 3")]);
    assert_eq!(inspection.oldest[0].age, Duration::from_secs(10));
    assert!(inspection.oldest.iter().all(|flight| flight.shard < 4));
    assert!(coalescer.inspect(0).await.unwrap().oldest.is_empty());
}

#[tokio::test]
async fn nothing_is_said_of_a_key_by_default() {
    limited(async {
        let handle = Coalescer::<u32, u32>::new().handle();
        let mut join = handle.join(1_u32, pending);
        embark(&mut join);
        assert_eq!(handle.inspect(1).await.unwrap().oldest[0].description, None);
    })
    .await;
}

#[tokio::test]
async fn every_join_is_in_the_books_once_whatever_became_of_it() {
    limited(async {
        let builder = Coalescer::<u32, u32>::builder().shards(3).max_waiters_per_flight(2).max_flights(2);
        let handle = builder.build().unwrap().handle();
        let gate = Gate::new();
        let join = |key: u32| {
            let passed = gate.pass();
            tokio::spawn(handle.join(key, move || async move {
                passed.await;
                key
            }))
        };
        let joins: Vec<_> = [1, 1, 1, 2, 2, 3, 4].into_iter().map(join).collect();
        crate::support::until(&handle, |stats| stats.joins == 7).await;
        handle.set_enabled(false);
        handle.join(1_u32, || async { 7 }).await.unwrap();
        gate.open();
        for join in joins {
            let _ = join.await.unwrap();
        }
        let stats = at_rest(&handle).await;
        assert_eq!((stats.joins, stats.bypasses, stats.executions), (8, 1, 2));
        assert_eq!(stats.coalesced + stats.rejections, 5);
        let of_shards: u64 = stats.per_shard().iter().map(|shard| shard.joins).sum();
        assert_eq!(of_shards, stats.joins);
    })
    .await;
}
