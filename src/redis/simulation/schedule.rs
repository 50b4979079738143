//! What a seed stands for.

use std::time::Duration;

/// The lease in every schedule.
pub(super) const LEASE: Duration = Duration::from_secs(1);
pub(super) const OP_TIMEOUT: Duration = Duration::from_millis(100);

/// What happens from outside, and to whom.
#[derive(Clone, Copy, Debug)]
pub(super) enum Incident {
    /// A caller asks for the key.
    Call {
        node: usize,
        is_strict: bool,
    },
    /// The process stands still.
    Pause {
        node: usize,
        time: Duration,
    },
    /// What it sends and is sent arrives late.
    Partition {
        node: usize,
        time: Duration,
    },
    /// What is under way on its connection is lost.
    Cut {
        node: usize,
    },
    /// The server stands still.
    Silence {
        time: Duration,
    },
    /// The server's clock is set, by so many milliseconds.
    Step {
        by: i64,
    },
    Flush,
    Restart,
    /// The newest flight of the node is forgotten.
    Forget {
        node: usize,
    },
    /// The newest flight of the node is dropped.
    Drop {
        node: usize,
    },
}

#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) nodes: usize,
    /// Without anything that may cost an execution.
    pub(super) is_calm: bool,
    /// What is sent arrives soon.
    pub(super) is_quick: bool,
    pub(super) may_go_alone: bool,
    pub(super) wait_at_most: Option<Duration>,
    pub(super) incidents: Vec<(Duration, Incident)>,
    pub(super) random: fastrand::Rng,
}

impl Schedule {
    pub(super) fn of(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let nodes = random.usize(1..=4);
        let is_calm = random.u8(0..4) == 0;
        let calls = random.usize(2..=12);
        let mut incidents: Vec<_> = (0..calls)
            .map(|_| {
                let is_strict = random.u8(0..8) == 0;
                (moment(&mut random), Incident::Call { node: random.usize(0..nodes), is_strict })
            })
            .collect();
        if !is_calm {
            let disturbances = random.usize(1..=6);
            incidents.extend((0..disturbances).map(|_| (moment(&mut random), disturbance(&mut random, nodes))));
        }
        incidents.sort_by_key(|(at, _)| *at);
        let wait_at_most = (!is_calm && random.u8(0..8) == 0).then(|| millis(random.u64(10..3000)));
        Self { nodes, is_calm, is_quick: is_calm, may_go_alone: random.u8(0..4) > 0, wait_at_most, incidents, random }
    }

    /// Nothing happens but that each process stands still once, for half a lease.
    pub(super) fn of_stalls(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let nodes = random.usize(2..=4);
        let mut incidents = Vec::new();
        for node in 0..nodes {
            // Several calls, so that leases are granted between two looks at which of them to renew.
            incidents.extend((0..4).map(|_| (moment(&mut random), Incident::Call { node, is_strict: false })));
            incidents.push((moment(&mut random), Incident::Pause { node, time: LEASE / 2 }));
        }
        incidents.sort_by_key(|(at, _)| *at);
        Self { nodes, is_calm: false, is_quick: true, may_go_alone: true, wait_at_most: None, incidents, random }
    }
}

/// Half of all at about the same time as others.
fn moment(random: &mut fastrand::Rng) -> Duration {
    if random.bool() { millis(random.u64(0..5) * 500 + random.u64(0..10)) } else { millis(random.u64(0..3000)) }
}

fn disturbance(random: &mut fastrand::Rng, nodes: usize) -> Incident {
    let node = random.usize(0..nodes);
    let time = millis(if random.bool() { random.u64(1..200) } else { random.u64(200..3000) });
    match random.u8(0..12) {
        0..3 => Incident::Pause { node, time },
        3..5 => Incident::Partition { node, time },
        5 => Incident::Cut { node },
        6 => Incident::Silence { time },
        7 => Incident::Step { by: random.i64(-3000..3000) },
        8 => Incident::Flush,
        9 => Incident::Restart,
        10 => Incident::Forget { node },
        _ => Incident::Drop { node },
    }
}

pub(super) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
