//! From a seed to a plan.

use std::time::Duration;

use fastrand::Rng;
use shardflight::{OnAbandon, OnExpiry, Priority};

use super::{
    plan::{Action, Api, Blocking, Finish, Join, Plan, Treatment, Work, WorkEnd},
    record::{Executions, Rules},
};

/// What all callers of a round have in common.
struct Climate {
    keys: u8,
    /// No caller waits without a limit, so that work may never end.
    hurried: bool,
    /// One in so many works never ends; 0 for none.
    never: u32,
    /// One in so many works makes a join of its own.
    nests: u32,
}

pub(super) fn plan(seed: u64) -> Plan {
    let mut rng = Rng::with_seed(seed);
    let on_abandon = if rng.bool() { OnAbandon::Abort } else { OnAbandon::Finish };
    let on_expiry = if rng.bool() { OnExpiry::Fail } else { OnExpiry::Detach };
    // Short ones make for many expiries; at the long one an expiry can be told to have come too early.
    let deadline = match rng.u8(..10) {
        0..5 => None,
        5..9 => Some(Duration::from_millis(5)),
        _ => Some(Duration::from_millis(400)),
    };
    let rules = Rules {
        on_abandon,
        on_expiry,
        deadline,
        max_waiters: if rng.u8(..3) == 0 { rng.usize(1..6) } else { 1_000_000 },
        max_flights: if rng.u8(..4) == 0 { rng.usize(1..4) } else { 1_000_000 },
        // Work that never ends keeps its permit until its deadline, and the queue waits: not where that takes long.
        executions: (rng.u8(..3) == 0)
            .then(|| executions(&mut rng))
            .filter(|_| deadline.is_none_or(|limit| limit < Duration::from_millis(100))),
    };
    let hurried = rng.u8(..3) == 0;
    let expires = deadline.is_some() && on_expiry == OnExpiry::Fail;
    let never = match deadline {
        Some(long) if expires && long > Duration::from_millis(100) => 200,
        _ if expires || (hurried && on_abandon == OnAbandon::Abort) => 20,
        _ => 0,
    };
    let climate = Climate { keys: rng.u8(1..7), hurried, never, nests: if rng.bool() { 2 } else { 12 } };
    let finish = match rng.u8(..8) {
        0 => Finish::Shutdown { after: micros(&mut rng, 20_000), grace: micros(&mut rng, 4_000) },
        1 => Finish::RuntimeGone { after: micros(&mut rng, 20_000) },
        _ => Finish::Quiet,
    };
    Plan {
        workers: rng.usize(2..5),
        shards: rng.usize(1..4),
        callers: (0..rng.usize(8..40)).map(|_| script(&mut rng, &climate)).collect(),
        threads: (0..rng.usize(..3)).map(|_| thread(&mut rng, &climate)).collect(),
        overdue_first: matches!(finish, Finish::Quiet) && deadline.is_some() && rng.bool(),
        rules,
        finish,
    }
}

fn executions(rng: &mut Rng) -> Executions {
    Executions {
        most: rng.usize(1..4),
        max_queued: if rng.bool() { rng.usize(1..4) } else { 10_000 },
        queue_timeout: rng.bool().then(|| Duration::from_millis(rng.u64(1..6))),
    }
}

fn micros(rng: &mut Rng, below: u64) -> Duration {
    Duration::from_micros(rng.u64(..below))
}

/// Few keys have most of the callers: each is half as likely as the one before.
fn key(rng: &mut Rng, climate: &Climate) -> u8 {
    (0..climate.keys).find(|_| rng.bool()).unwrap_or(0)
}

fn script(rng: &mut Rng, climate: &Climate) -> Vec<Action> {
    (0..rng.usize(5..40))
        .map(|_| match rng.u8(..32) {
            0..2 => Action::Forget { key: key(rng, climate) },
            2 => Action::ForgetAll,
            3..5 => Action::Ask,
            5..8 => Action::Pause { yields: rng.u8(..8) },
            _ => Action::Join(join(rng, climate, 0)),
        })
        .collect()
}

fn join(rng: &mut Rng, climate: &Climate, depth: u8) -> Join {
    let treatment = match rng.u8(..16) {
        0 => Treatment::NeverPolls,
        1..4 => Treatment::LeavesAfter { polls: rng.u8(1..6) },
        4..6 => Treatment::Races { limit: micros(rng, 2_000) },
        6..8 if depth == 0 => Treatment::Parks,
        8..10 => Treatment::Aborted { yields: rng.u8(..6) },
        _ => Treatment::Waits,
    };
    Join {
        key: key(rng, climate),
        api: [Api::Join, Api::TryJoin, Api::JoinShared][rng.usize(..3)],
        work: work(rng, climate, depth),
        // A task that work spawns is a caller like any other: of its own key it would wait for ever.
        treatment: if depth > 0 && matches!(treatment, Treatment::Aborted { .. }) {
            Treatment::Waits
        } else {
            treatment
        },
        max_wait: max_wait(rng, climate),
        priority: [Priority::Background, Priority::Low, Priority::Normal, Priority::High][rng.usize(..4)],
    }
}

/// Never as long as any deadline, so that an answer says which of the two it is.
fn max_wait(rng: &mut Rng, climate: &Climate) -> Option<Duration> {
    (climate.hurried || rng.u8(..12) == 0).then(|| Duration::from_micros(rng.u64(500..4_000)))
}

fn work(rng: &mut Rng, climate: &Climate, depth: u8) -> Work {
    let end = match rng.u32(..40) {
        0..3 => WorkEnd::Fails,
        3..5 => WorkEnd::Panics,
        5 => WorkEnd::PanicsInItsClosure,
        _ if climate.never > 0 && rng.u32(..climate.never) == 0 => WorkEnd::Never,
        _ => WorkEnd::Returns,
    };
    Work {
        yields: if rng.u8(..3) == 0 { 0 } else { rng.u8(..12) },
        sleeps: (rng.u8(..6) == 0).then(|| micros(rng, 3_000)),
        nested: (depth < 2 && rng.u32(..climate.nests) == 0).then(|| Box::new(join(rng, climate, depth + 1))),
        end,
    }
}

fn thread(rng: &mut Rng, climate: &Climate) -> Vec<Blocking> {
    (0..rng.usize(3..15))
        .map(|_| Blocking {
            key: key(rng, climate),
            yields: rng.u8(..20),
            panics: rng.u8(..10) == 0,
            max_wait: max_wait(rng, climate),
        })
        .collect()
}
