//! The estimator beside exact calculations, and what rotates and merges.

use std::{thread, time::Duration};

use proptest::{collection::vec, prelude::*};

use crate::{
    adaptive::{
        durations::{Durations, Range, Rotating},
        learner::{Learner, put_back},
        options::Plan,
    },
    flight_limit::{
        FlightEnd::{Cut, Returned},
        FlightLimit,
    },
    sync::{Cell, now},
};

const SECOND: Duration = Duration::from_secs(1);

fn micros(number: u64) -> Duration {
    Duration::from_micros(number)
}

fn durations() -> Durations {
    Durations::new(Range::up_to(100 * SECOND))
}

/// To within a bucket, which is a sixteenth, and never less.
fn is_about(estimate: Duration, exact: u64) -> bool {
    estimate >= micros(exact) && estimate <= micros(exact + exact / 16 + 1)
}

/// Moves the weight of what was cut to all that went on, one after the other: the same estimator by another way (Efron, 1967).
fn by_weights(mut flights: Vec<(u64, bool)>, quantile: f64) -> u64 {
    // Of flights at the same time, those that were cut went on.
    flights.sort_by_key(|&(time, was_cut)| (time, was_cut));
    let mut weights = vec![1.0 / flights.len() as f64; flights.len()];
    let mut below = 0.0;
    for index in 0..flights.len() {
        let (time, was_cut) = flights[index];
        let rest = flights.len() - index - 1;
        if was_cut {
            let share = weights[index] / rest as f64;
            weights[index + 1..].iter_mut().for_each(|weight| *weight += share);
        } else {
            below += weights[index];
            if below >= quantile - 1e-9 && flights.get(index + 1).is_none_or(|next| *next != flights[index]) {
                return time;
            }
        }
    }
    flights.last().expect("flights").0
}

proptest! {
    #[test]
    fn the_quantile_is_exact_to_a_sixteenth(mut times in vec(1..50_000_000_u64, 1..400), quantile in 0.001..0.9999_f64) {
        let mut durations = durations();
        times.iter().for_each(|time| durations.record(Returned(micros(*time))));
        times.sort_unstable();
        let all = times.len() as f64;
        let exact = (1..).zip(&times).find(|(rank, _)| f64::from(*rank) >= quantile * all - 1e-6).map_or(0, |(_, time)| *time);
        let estimate = durations.quantile(quantile).unwrap();
        prop_assert!(is_about(estimate, exact), "{estimate:?} for {exact} us");
    }

    #[test]
    fn cut_flights_count_for_what_is_known(flights in vec((0..30_u32, any::<bool>()), 1..200), quantile in 0.01..0.99_f64) {
        // Times that are each in a bucket of their own.
        let flights: Vec<_> = flights.into_iter().map(|(step, was_cut)| (1_u64 << (step / 2) << (step % 2), was_cut)).collect();
        let mut durations = durations();
        for (time, was_cut) in &flights {
            durations.record(if *was_cut { Cut(micros(*time)) } else { Returned(micros(*time)) });
        }
        let exact = by_weights(flights, quantile);
        let estimate = durations.quantile(quantile).unwrap();
        prop_assert!(is_about(estimate, exact), "{estimate:?} for {exact} us");
    }
}

#[test]
fn times_out_of_range_count_as_its_ends() {
    for (time, counted) in [(Duration::ZERO, 0), (Duration::MAX, 100_000_000)] {
        let mut durations = durations();
        durations.record(Returned(time));
        assert!(is_about(durations.quantile(0.5).unwrap(), counted), "{durations:?}");
    }
    assert_eq!(durations().quantile(0.5), None);
    let mut short = Durations::new(Range::up_to(Duration::from_nanos(1)));
    short.record(Cut(SECOND));
    assert!(short.quantile(0.5).is_some());
    let mut long = Durations::new(Range::up_to(Duration::MAX));
    long.record(Returned(SECOND));
    assert!(is_about(long.quantile(0.5).unwrap(), 1_000_000));
}

/// How many there are, and the greatest of them.
fn greatest(rotating: &Rotating) -> (u64, Option<Duration>) {
    let mut all = durations();
    rotating.add_to(&mut all);
    (all.returned(), all.quantile(0.99))
}

#[test]
fn a_duration_is_kept_for_one_window_more() {
    let mut rotating = Rotating::new(7, Range::up_to(100 * SECOND));
    rotating.record(Returned(micros(8)));
    rotating.turn_to(8);
    assert_eq!(greatest(&rotating), (1, Some(micros(8))), "the window before counts");
    rotating.turn_to(9);
    assert_eq!(greatest(&rotating), (0, None));
    rotating.record(Returned(micros(4)));
    rotating.turn_to(10);
    rotating.turn_to(12);
    assert_eq!(greatest(&rotating), (0, None), "a window without flights has passed");
}

#[test]
fn durations_of_several_windows_are_merged_by_window() {
    for swapped in [false, true] {
        let rotating = |window, time| {
            let mut rotating = Rotating::new(window, Range::up_to(100 * SECOND));
            rotating.record(Returned(micros(time)));
            rotating
        };
        let (mut ours, theirs) =
            if swapped { (rotating(8, 4), rotating(7, 8)) } else { (rotating(7, 8), rotating(8, 4)) };
        ours.merge(theirs);
        assert_eq!(greatest(&ours), (2, Some(micros(8))));
        ours.turn_to(9);
        assert_eq!(greatest(&ours), (1, Some(micros(4))), "the newer of both is left");
    }
}

#[test]
fn durations_that_two_threads_put_back_are_merged() {
    let recorded = || {
        let mut rotating = Rotating::new(7, Range::up_to(100 * SECOND));
        rotating.record(Returned(micros(8)));
        Box::new(rotating)
    };
    let cell = Cell::full(recorded());
    // It was out when this began its own, and is back by now.
    put_back(&cell, recorded());
    assert_eq!(cell.take().map(|both| greatest(&both)), Some((2, Some(micros(8)))));
    assert!(cell.take().is_none());
}

#[test]
fn flights_that_end_at_once_are_all_counted() {
    const THREADS: u64 = 4;
    const FLIGHTS: u64 = if cfg!(debug_assertions) { 5_000 } else { 100_000 };
    let plan = Plan {
        quantile: 0.99,
        factor: 3.0,
        floor: micros(1),
        ceiling: 100 * SECOND,
        min_samples: THREADS * FLIGHTS,
        window: 3600 * SECOND,
    };
    let began = now();
    let learner = Learner::new(plan, 1, began);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..FLIGHTS).for_each(|_| learner.ended(0, Returned(micros(10)), began)));
        }
    });
    // The last computation has not seen all of them: this one has, with one more.
    let later = began + SECOND;
    assert_eq!(learner.current(later), 100 * SECOND);
    learner.ended(0, Cut(micros(1)), later);
    assert_eq!(learner.current(later), micros(30), "a flight is missing");
}
