//! Backends whose times are drawn at random, under the limit that is learned from them.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    f64::consts::TAU,
    time::{Duration, Instant},
};

use fastrand::Rng;

use crate::{
    adaptive::{learner::Learner, options::Plan},
    flight_limit::{FlightEnd, FlightLimit},
    sync::now,
};

const MILLI: Duration = Duration::from_millis(1);
const WINDOW: Duration = Duration::from_secs(2);
/// The factors of all simulations of what is built, from the least that is allowed.
const FACTORS: [f64; 4] = [1.5, 2.0, 3.0, 10.0];

#[derive(Clone, Copy)]
struct Setting {
    factor: f64,
    /// The mistake to show: flights that were cut don't count.
    only_returned: bool,
}

/// Starts a flight each millisecond.
struct Simulation {
    learner: Learner,
    setting: Setting,
    now: Instant,
    random: Rng,
    /// By when they end.
    ends: BinaryHeap<Reverse<(Instant, Duration, bool)>>,
}

impl Simulation {
    fn new(setting: Setting) -> Self {
        let plan = Plan {
            quantile: 0.99,
            factor: setting.factor,
            floor: MILLI,
            ceiling: 30_000 * MILLI,
            min_samples: 100,
            window: WINDOW,
        };
        let now = now();
        Self { learner: Learner::new(plan, 1, now), setting, now, random: Rng::with_seed(7), ends: BinaryHeap::new() }
    }

    /// For so many milliseconds. What comes back is how many of a thousand flights time out; 0 only if none does.
    fn run(&mut self, millis: u32, time: impl Fn(&mut Rng) -> f64) -> u32 {
        let mut timed_out = 0;
        for _ in 0..millis {
            self.now += MILLI;
            while let Some(&Reverse((end, took, was_cut))) = self.ends.peek().filter(|end| end.0.0 <= self.now) {
                self.ends.pop();
                if !(was_cut && self.setting.only_returned) {
                    let took = if was_cut { FlightEnd::Cut(took) } else { FlightEnd::Returned(took) };
                    self.learner.ended(0, took, end);
                }
            }
            let (limit, time) = (self.learner.current(self.now), MILLI.mul_f64(time(&mut self.random)));
            timed_out += u32::from(time >= limit);
            self.ends.push(Reverse((self.now + time.min(limit), time.min(limit), time >= limit)));
        }
        (1_000 * timed_out).div_ceil(millis)
    }

    fn limit_millis(&self) -> f64 {
        self.learner.current(self.now).as_secs_f64() * 1e3
    }
}

/// Milliseconds: 20 at the median, 203 at the quantile of 99 %.
fn log_normal(random: &mut Rng) -> f64 {
    let normal = (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (TAU * random.f64()).cos();
    20.0 * normal.exp()
}

fn all(factor: f64) -> Setting {
    Setting { factor, only_returned: false }
}

fn only_returned(factor: f64) -> Setting {
    Setting { factor, only_returned: true }
}

#[test]
fn learning_from_what_returned_alone_spirals_down() {
    let timeouts = |setting| {
        let mut simulation = Simulation::new(setting);
        simulation.run(80_000, log_normal);
        simulation.run(10_000, log_normal)
    };
    // Below the least factor, where what is left out is the longest time of each window.
    assert!(timeouts(only_returned(1.0)) > 100, "the mistake that this is about");
    assert!(timeouts(all(1.0)) < 30);
}

#[test]
fn the_limit_is_stable_for_every_factor() {
    for factor in FACTORS {
        let mut simulation = Simulation::new(all(factor));
        simulation.run(8_000, log_normal);
        for _ in 0..4 {
            let timeouts = simulation.run(4_000, log_normal);
            assert!(timeouts < 20, "{timeouts} by {factor}");
            let limit = simulation.limit_millis() / factor;
            assert!((130.0..350.0).contains(&limit), "{limit} by {factor}");
        }
    }
}

#[test]
fn slow_flights_that_come_back_are_not_cut_for_good() {
    let with_slow = |random: &mut Rng| if random.f64() < 0.03 { 1_000.0 } else { 10.0 };
    let timeouts = |setting| {
        let mut simulation = Simulation::new(setting);
        assert!(simulation.run(5_000, |_| 10.0) == 0);
        simulation.run(10_000, with_slow);
        simulation.run(5_000, with_slow)
    };
    for factor in FACTORS {
        assert!(timeouts(only_returned(factor)) > 20, "the mistake that this is about, by {factor}");
        assert_eq!(timeouts(all(factor)), 0, "by {factor}");
    }
}

#[test]
fn the_limit_follows_a_backend_that_gets_slower_and_recovers() {
    for factor in FACTORS {
        let slower = 5.0 * factor;
        let mut simulation = Simulation::new(all(factor));
        simulation.run(5_000, |_| 10.0);
        let before = simulation.limit_millis();
        // The burst: one in a hundred of the flights of two windows, and those that are under way until it shows.
        let burst = simulation.run(2_000, |_| 10.0 * slower);
        assert!(burst < 350, "{burst} by {factor}");
        assert_eq!(simulation.run(5_000, |_| 10.0 * slower), 0, "by {factor}");
        assert!(simulation.limit_millis() >= 0.9 * slower * before, "by {factor}");
        assert_eq!(simulation.run(5_000, |_| 10.0), 0, "by {factor}");
        assert!(simulation.limit_millis() < 1.2 * before, "by {factor}");
    }
}
