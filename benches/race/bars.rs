//! What the race is judged by.

use crate::{
    arguments::Flavour,
    contenders::{Facts, Role},
    results::{Measure, Results},
};

/// Whom ours is measured against.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reference {
    Spawn,
    BestPeer,
    BestSpawningPeer,
    BestFreshPeer,
    BestLeakFreePeer,
    BestFreshLeakFreePeer,
    /// Ours on another workload.
    Itself(&'static str),
}

impl Reference {
    fn admits(self, facts: &Facts) -> bool {
        match self {
            Self::Spawn => facts.role == Role::Floor,
            Self::BestPeer => is_peer(facts),
            Self::BestSpawningPeer => facts.role == Role::SpawningPeer,
            Self::BestFreshPeer => is_peer(facts) && facts.fresh,
            Self::BestLeakFreePeer => is_peer(facts) && facts.leak_free,
            Self::BestFreshLeakFreePeer => is_fresh_leak_free_peer(facts),
            Self::Itself(_) => facts.role == Role::Ours,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Spawn => "tokio::spawn",
            Self::BestPeer => "best peer",
            Self::BestSpawningPeer => "best peer that spawns",
            Self::BestFreshPeer => "best fresh peer",
            Self::BestLeakFreePeer => "best leak-free peer",
            Self::BestFreshLeakFreePeer => "best fresh and leak-free peer",
            Self::Itself(workload) => workload,
        }
    }
}

fn is_peer(facts: &Facts) -> bool {
    matches!(facts.role, Role::Peer | Role::SpawningPeer)
}

/// The peers that promise most of what ours does.
pub(crate) fn is_fresh_leak_free_peer(facts: &Facts) -> bool {
    is_peer(facts) && facts.fresh && facts.leak_free
}

/// Ours divided by the reference may be so much.
pub(crate) struct Bar {
    pub(crate) workload: &'static str,
    pub(crate) measure: Measure,
    reference: Reference,
    pub(crate) most: f64,
}

const fn bar(workload: &'static str, measure: Measure, reference: Reference, most: f64) -> Bar {
    Bar { workload, measure, reference, most }
}

static BARS: [Bar; 13] = [
    bar("lonely-ready", Measure::Time, Reference::Spawn, 2.0),
    bar("lonely-ready", Measure::Time, Reference::BestSpawningPeer, 1.3),
    bar("lonely-suspended", Measure::Time, Reference::BestSpawningPeer, 1.2),
    bar("herd-10000", Measure::Time, Reference::BestPeer, 0.8),
    bar("herd-100000", Measure::Time, Reference::BestPeer, 0.7),
    bar("one-task-1000", Measure::Time, Reference::BestPeer, 0.9),
    bar("one-task-10000", Measure::Time, Reference::BestPeer, 1.0),
    bar("loop-256", Measure::Time, Reference::BestFreshLeakFreePeer, 1.0),
    bar("loop-4096", Measure::Time, Reference::BestFreshLeakFreePeer, 1.0),
    bar("loop-256", Measure::Executions, Reference::BestFreshPeer, 1.0),
    bar("loop-4096", Measure::Executions, Reference::BestFreshPeer, 1.0),
    bar("leaving-10000", Measure::Time, Reference::BestLeakFreePeer, 1.0),
    bar("growth-1000000", Measure::Time, Reference::Itself("growth-1000"), 1.5),
];

/// A bar, and what came of it.
pub(crate) struct Verdict {
    pub(crate) bar: &'static Bar,
    /// Who it came to be, and why.
    pub(crate) reference: String,
    pub(crate) ratio: f64,
}

impl Verdict {
    pub(crate) fn is_met(&self) -> bool {
        self.ratio <= self.bar.most
    }
}

/// On every bar whose contenders and workloads were run.
pub(crate) fn judge(results: &Results, flavour: Flavour) -> Vec<Verdict> {
    BARS.iter()
        .filter_map(|bar| {
            let ours = results.field.iter().position(|facts| facts.role == Role::Ours)?;
            let ours = results.median(flavour, bar.workload, ours, bar.measure)?;
            let workload = match bar.reference {
                Reference::Itself(workload) => workload,
                _ => bar.workload,
            };
            let (name, best) = results
                .field
                .iter()
                .enumerate()
                .filter(|(_, facts)| bar.reference.admits(facts))
                .filter_map(|(index, facts)| {
                    Some((&facts.name, results.median(flavour, workload, index, bar.measure)?))
                })
                .min_by(|(_, one), (_, other)| one.total_cmp(other))?;
            let reference = match bar.reference {
                Reference::Spawn | Reference::Itself(_) => bar.reference.name().to_string(),
                _ => format!("{}: {name}", bar.reference.name()),
            };
            Some(Verdict { bar, reference, ratio: ours / best })
        })
        .collect()
}
