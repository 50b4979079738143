//! What is counted and shown (G14).

use std::time::Duration;

use super::bench::*;
use crate::{
    config::OnAbandon,
    shard::{
        Completion, FlightSnapshot, Join,
        fake::{Name, join_of},
    },
};

const SECOND_OF_TIME: Duration = Duration::from_secs(1);

fn bench() -> Bench {
    Bench::new(OnAbandon::Finish)
}

#[test]
fn counters_say_what_happened_and_gauges_what_is() {
    let mut bench = bench();
    bench.join_all([1, 1, 2, 3, 4]);
    bench.complete(flight(2, 1), Completion::Panicked);
    bench.complete(flight(3, 2), Completion::Error);
    bench.complete(flight(4, 3), Completion::Aborted);
    bench.now += SECOND_OF_TIME;
    let stats = bench.stats();
    assert_eq!(bench.joins(), [4, 1, 0]);
    assert_eq!((stats.errors, stats.panics, stats.aborts), (1, 1, 1));
    assert_eq!((stats.flights, stats.waiters, stats.oldest_flight), (1, 2, Some(SECOND_OF_TIME)));
}

#[test]
fn a_reset_leaves_gauges_and_totals() {
    let mut bench = bench();
    bench.join_all([1, 1]);
    bench.shard.reset_stats();
    assert_eq!((bench.joins(), bench.gauges()), ([1, 0, 0], (1, 2)), "flights are counted for good");
    bench.join_all([1, 2]);
    bench.shard.reset_stats();
    bench.leave(slot(flight(1, 0), 0));
    let (stats, totals) = (bench.stats(), bench.shard.totals(bench.now));
    assert_eq!((stats.coalesced, stats.departures), (0, 1));
    assert_eq!((totals.coalesced, totals.departures), (2, 1));
    assert_eq!((totals.flights, totals.waiters), (2, 3), "gauges are no sums");
}

#[test]
fn the_oldest_flight_is_the_oldest_that_is_left() {
    let mut bench = bench();
    assert_eq!(bench.stats().oldest_flight, None);
    for name in [1, 2, 3] {
        bench.join(name);
        bench.now += SECOND_OF_TIME;
    }
    bench.complete(flight(2, 1), Completion::Value);
    assert_eq!(bench.stats().oldest_flight, Some(3 * SECOND_OF_TIME));
    bench.complete(flight(1, 0), Completion::Value);
    assert_eq!(bench.stats().oldest_flight, Some(SECOND_OF_TIME));
}

#[test]
fn the_most_crowded_flights_are_shown_first_and_so_are_the_oldest() {
    let mut bench = bench();
    for name in [1, 2, 2, 3, 3, 3] {
        bench.join(name);
        bench.now += SECOND_OF_TIME;
    }
    let (crowded, oldest) = bench.shard.inspect(2, bench.now);
    let waiters = |flights: &[FlightSnapshot]| flights.iter().map(|flight| flight.waiters).collect::<Vec<_>>();
    assert_eq!(waiters(&crowded), [3, 2]);
    let ages: Vec<_> = oldest.iter().map(|flight| (flight.flight, flight.age)).collect();
    assert_eq!(ages, [(FIRST, 6 * SECOND_OF_TIME), (SECOND, 5 * SECOND_OF_TIME)]);
    assert!(bench.shard.inspect(0, bench.now).0.is_empty());
    assert_eq!(waiters(&bench.shard.inspect(9, bench.now).0), [3, 2, 1]);
}

#[test]
fn inspection_shows_detached_flights_and_callers_that_are_there() {
    let mut bench = bench();
    bench.join_all([1; 3]);
    bench.shard.forget(1, &Name(1)).unwrap();
    bench.leave(slot(flight(1, 0), 1));
    let (crowded, oldest) = bench.shard.inspect(9, bench.now);
    assert_eq!((crowded[0].waiters, oldest[0].waiters), (2, 2));
    bench.complete(flight(1, 0), Completion::Value);
    let (crowded, oldest) = bench.shard.inspect(9, bench.now);
    assert!(crowded.is_empty() && oldest.is_empty());
}

#[test]
fn a_flight_is_described_as_its_leader_said() {
    let mut bench = bench();
    bench.join_as(Join { description: Some("one".into()), ..join_of(1, Name(1), 1) });
    bench.join_as(Join { description: Some("another".into()), ..join_of(1, Name(1), 2) });
    bench.join(2);
    let (_, oldest) = bench.shard.inspect(9, bench.now);
    let descriptions: Vec<_> = oldest.iter().map(|flight| flight.description.as_deref()).collect();
    assert_eq!(descriptions, [Some("one"), None]);
}
