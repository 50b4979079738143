//! The bars: what each contender of ours may cost, divided by what a reference costs in the same run.

use serde_json::{Value, json};

use crate::{
    arguments::Flavour,
    contenders::{Facts, Role},
    results::{Measure, Results},
    verdict::Verdict,
};

/// What ours is divided by.
#[derive(Clone, Copy, Debug)]
enum Reference {
    Spawn,
    BestPeer,
    BestSpawningPeer,
    BestFreshLeakFreePeer,
    /// One peer, by name.
    Peer(&'static str),
    /// The same contender on another workload.
    Itself(&'static str),
}

impl Reference {
    fn admits(self, facts: &Facts) -> bool {
        match self {
            Self::Spawn => facts.role == Role::Floor,
            Self::BestPeer => is_peer(facts),
            Self::BestSpawningPeer => facts.role == Role::SpawningPeer,
            Self::BestFreshLeakFreePeer => is_fresh_leak_free_peer(facts),
            Self::Peer(name) => facts.name == name,
            // The only contender of ours that runs these workloads.
            Self::Itself(_) => facts.role == Role::Ours,
        }
    }

    /// With the name of the peer that it turned out to be.
    fn describe(self, fastest: &str) -> String {
        match self {
            Self::Spawn | Self::Peer(_) => fastest.into(),
            Self::BestPeer => format!("best peer: {fastest}"),
            Self::BestSpawningPeer => format!("best peer that spawns: {fastest}"),
            Self::BestFreshLeakFreePeer => format!("best fresh and leak-free peer: {fastest}"),
            Self::Itself(workload) => workload.into(),
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

/// The largest ratio that meets a bar.
#[derive(Clone, Copy, Debug)]
struct Limit {
    multi: f64,
    current: f64,
}

impl Limit {
    fn on(self, flavour: Flavour) -> f64 {
        match flavour {
            Flavour::Multi { .. } => self.multi * flavour.tolerance(),
            Flavour::Current => self.current * flavour.tolerance(),
        }
    }
}

struct Bar {
    workload: &'static str,
    reference: Reference,
    detached: Option<Limit>,
    in_place: Option<Limit>,
}

const fn bar(workload: &'static str, reference: Reference) -> Bar {
    Bar { workload, reference, detached: None, in_place: None }
}

impl Bar {
    const fn detached(self, most: f64) -> Self {
        self.detached_by_flavour(most, most)
    }

    const fn detached_by_flavour(self, multi: f64, current: f64) -> Self {
        Self { detached: Some(Limit { multi, current }), ..self }
    }

    const fn in_place(self, most: f64) -> Self {
        Self { in_place: Some(Limit { multi: most, current: most }), ..self }
    }

    const fn both(self, most: f64) -> Self {
        self.detached(most).in_place(most)
    }
}

const RS_SINGLEFLIGHT: Reference = Reference::Peer("rs-singleflight");

static BARS: [Bar; 19] = [
    bar("lonely-ready", Reference::Spawn).detached(1.7),
    bar("lonely-ready", Reference::BestSpawningPeer).detached(1.2),
    bar("lonely-ready", Reference::BestPeer).in_place(1.2),
    bar("lonely-suspended", Reference::Spawn).detached(1.2),
    bar("lonely-suspended", Reference::BestSpawningPeer).detached(1.1),
    bar("lonely-suspended", Reference::BestFreshLeakFreePeer).in_place(1.1),
    bar("burst-100", Reference::BestPeer).both(0.95),
    bar("burst-10000", Reference::BestPeer).both(0.8),
    bar("burst-100000", Reference::BestPeer).both(0.65),
    bar("one-task-1000", Reference::BestPeer).both(0.95),
    bar("one-task-10000", Reference::BestPeer).both(1.0),
    bar("loop-256", Reference::Spawn).detached_by_flavour(1.3, 1.2),
    bar("loop-256", Reference::BestSpawningPeer).detached_by_flavour(1.2, 1.1),
    bar("loop-256", RS_SINGLEFLIGHT).in_place(1.3),
    bar("loop-4096", Reference::Spawn).detached_by_flavour(1.3, 1.2),
    bar("loop-4096", Reference::BestSpawningPeer).detached_by_flavour(1.2, 1.1),
    bar("loop-4096", RS_SINGLEFLIGHT).in_place(1.3),
    bar("leaving-10000", RS_SINGLEFLIGHT).both(1.0),
    bar("growth-1000000", Reference::Itself("growth-1000")).detached(1.3),
];

/// What came of one bar, for each contender of ours that it is set for and that was run.
pub(crate) struct Judgement {
    pub(crate) workload: &'static str,
    pub(crate) reference: String,
    pub(crate) detached: Option<Verdict>,
    pub(crate) in_place: Option<Verdict>,
}

impl Judgement {
    /// One value per verdict.
    pub(crate) fn json(&self, flavour: Flavour) -> Vec<Value> {
        let verdicts = [("detached", self.detached), ("in place", self.in_place)];
        let json = |(run_work, verdict): (&str, Option<Verdict>)| {
            let mut value = verdict?.json();
            value["flavour"] = json!(flavour.name());
            value["workload"] = json!(self.workload);
            value["run_work"] = json!(run_work);
            value["reference"] = json!(self.reference);
            Some(value)
        };
        verdicts.into_iter().filter_map(json).collect()
    }
}

/// On every bar whose contenders and workloads were run.
pub(crate) fn judge(results: &Results, flavour: Flavour) -> Vec<Judgement> {
    BARS.iter().filter_map(|bar| bar.judge(results, flavour)).collect()
}

impl Bar {
    fn judge(&self, results: &Results, flavour: Flavour) -> Option<Judgement> {
        let time = |workload, contender| results.median(flavour, workload, contender, Measure::Time);
        let workload = match self.reference {
            Reference::Itself(workload) => workload,
            _ => self.workload,
        };
        let field = results.field.iter().enumerate();
        let admitted = field.filter(|(_, facts)| self.reference.admits(facts));
        let (fastest, theirs) = admitted
            .filter_map(|(index, facts)| Some((&facts.name, time(workload, index)?)))
            .min_by(|(_, one), (_, other)| one.total_cmp(other))?;
        let verdict = |role, limit: Option<Limit>| {
            let bar = limit?.on(flavour);
            let ours = results.field.iter().position(|facts| facts.role == role)?;
            Some(Verdict { ratio: time(self.workload, ours)? / theirs, bar })
        };
        let (detached, in_place) = (verdict(Role::Ours, self.detached), verdict(Role::OursInPlace, self.in_place));
        let reference = self.reference.describe(fastest);
        (detached.is_some() || in_place.is_some()).then_some(Judgement {
            workload: self.workload,
            reference,
            detached,
            in_place,
        })
    }
}
