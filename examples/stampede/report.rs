//! The result of a scenario.

use std::{fmt, time::Duration};

use shardflight::Stats;

use crate::{arm::Arm, burst::Burst, claims::Claims, gauge::Gauge, scenario::Scenario};

#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) scenario: Scenario,
    headline: String,
    pub(crate) arms: Vec<ArmReport>,
    pub(crate) claims: Claims,
    pub(crate) notes: Vec<String>,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct ArmReport {
    pub(crate) arm: Arm,
    /// Fewer requests than in the other arm, as all of them would take too long.
    pub(crate) is_sample: bool,
    pub(crate) queries: usize,
    /// The number of flights.
    pub(crate) windows: u64,
    pub(crate) burst: Burst,
}

impl Report {
    pub(crate) fn new(scenario: Scenario, headline: String) -> Self {
        Self { scenario, headline, arms: Vec::new(), claims: Claims::default(), notes: Vec::new() }
    }

    pub(crate) fn add(&mut self, arm: Arm, is_sample: bool, queries: &Gauge, stats: &Stats, burst: Burst) {
        self.arms.push(ArmReport { arm, is_sample, queries: queries.total(), windows: stats.executions, burst });
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Wall time, direct over coalesced. `None` unless both had as many requests: a coalesced burst takes as long for ten requests as
    /// for ten thousand, so the time per request of a sample compares with nothing.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let of = |arm| self.arms.iter().find(|report| report.arm == arm).map(|report| &report.burst);
        let (direct, coalesced) = (of(Arm::Direct)?, of(Arm::Coalesced)?);
        let is_comparable = direct.requests() == coalesced.requests() && !coalesced.wall.is_zero();
        is_comparable.then(|| direct.wall.as_secs_f64() / coalesced.wall.as_secs_f64())
    }

    pub(crate) fn broken_claims(&self) -> impl Iterator<Item = String> {
        let name = self.scenario.name();
        self.claims.iter().filter(|claim| !claim.holds).map(move |claim| format!("{name}: {}", claim.text))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.scenario.name(), self.headline)?;
        for note in &self.notes {
            write!(f, "\n  · {note}")?;
        }
        for claim in self.claims.iter() {
            write!(f, "\n  {claim}")?;
        }
        Ok(())
    }
}

/// In seconds or milliseconds.
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds >= 1.0 { format!("{seconds:.2} s") } else { format!("{:.1} ms", seconds * 1e3) }
}
