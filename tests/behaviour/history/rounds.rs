//! Longer rounds from seeds: a few by default, hours of them on demand.

use std::{
    env,
    time::{Duration, Instant},
};

use super::{checker::Verdict, load::play, scripts::answer_for, seeds};

/// How many rounds a plain test run plays.
const ROUNDS: u64 = 120;
/// How often one seed is played that is asked for by itself.
const REPEATS: u64 = 100;
const PROGRESS: Duration = Duration::from_secs(10);

fn asked(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is to be a number, and is {value}")))
}

fn round(seed: u64) -> Verdict {
    let plan = seeds::plan(seed);
    answer_for(&plan, &play(&plan))
        .unwrap_or_else(|violation| panic!("seed {seed}, {:?}, {:?}\n{violation}", plan.rules, plan.finish))
}

#[derive(Debug, Default)]
struct Total {
    rounds: u64,
    verdict: Verdict,
}

impl Total {
    fn add(&mut self, verdict: &Verdict) {
        self.rounds += 1;
        let Verdict { calls, executions, values, panics, timed_out, too_many, shed, reentrant, closed, left, dropped } =
            &mut self.verdict;
        *calls += verdict.calls;
        *executions += verdict.executions;
        *values += verdict.values;
        *panics += verdict.panics;
        *timed_out += verdict.timed_out;
        *too_many += verdict.too_many;
        *shed += verdict.shed;
        *reentrant += verdict.reentrant;
        *closed += verdict.closed;
        *left += verdict.left;
        *dropped += verdict.dropped;
    }
}

#[test]
fn the_guarantees_hold_in_every_round() {
    let begun = Instant::now();
    let seconds = asked("SHARDFLIGHT_HISTORY_SECONDS").map(Duration::from_secs);
    let seed = asked("SHARDFLIGHT_HISTORY_SEED");
    // By default always the same plans; on demand never.
    let first = if seconds.is_some() { fastrand::u64(..1 << 40) } else { 0 };
    let rounds = if seed.is_some() { REPEATS } else { ROUNDS };
    let mut total = Total::default();
    let mut reported = begun;
    while seconds.map_or(total.rounds < rounds, |seconds| begun.elapsed() < seconds) {
        let verdict = round(seed.unwrap_or(first + total.rounds));
        total.add(&verdict);
        if reported.elapsed() >= PROGRESS {
            reported = Instant::now();
            println!("{:?}: {} rounds, {:?}", begun.elapsed(), total.rounds, total.verdict);
        }
    }
    println!("{:?}: {} rounds, {:?}", begun.elapsed(), total.rounds, total.verdict);
    let Verdict { values, panics, timed_out, too_many, shed, reentrant, closed, left, dropped, .. } = total.verdict;
    if seed.is_none() {
        let kinds = [values, panics, timed_out, too_many, shed, reentrant, closed, left, dropped];
        assert!(kinds.iter().all(|&kind| kind > 0), "something was never tried: {:?}", total.verdict);
    }
}
