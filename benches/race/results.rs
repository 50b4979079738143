//! The samples of all rounds.

use crate::{
    arguments::Flavour,
    contenders::Facts,
    median::median,
    workloads::{Sample, Workload},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Nanoseconds per call.
    Time,
    /// Executions per 100 calls.
    Executions,
}

impl Measure {
    fn of(self, sample: Sample) -> f64 {
        match self {
            Self::Time => sample.nanoseconds,
            Self::Executions => sample.executions_per_100,
        }
    }
}

/// One contender on one workload, round by round.
pub(crate) struct Runs {
    pub(crate) flavour: Flavour,
    pub(crate) workload: &'static str,
    /// In the field.
    pub(crate) contender: usize,
    pub(crate) samples: Vec<Sample>,
}

pub(crate) struct Results {
    pub(crate) field: Vec<Facts>,
    pub(crate) workloads: Vec<Workload>,
    pub(crate) flavours: Vec<Flavour>,
    pub(crate) runs: Vec<Runs>,
}

impl Results {
    pub(crate) fn record(&mut self, flavour: Flavour, workload: &'static str, contender: usize, sample: Sample) {
        let run = self.runs.iter_mut().find(|runs| runs.is_of(flavour, workload, contender));
        match run {
            Some(runs) => runs.samples.push(sample),
            None => self.runs.push(Runs { flavour, workload, contender, samples: vec![sample] }),
        }
    }

    /// `None` where the contender didn't run.
    pub(crate) fn median(&self, flavour: Flavour, workload: &str, contender: usize, measure: Measure) -> Option<f64> {
        self.runs.iter().find(|runs| runs.is_of(flavour, workload, contender)).map(|runs| runs.median(measure))
    }
}

impl Runs {
    fn is_of(&self, flavour: Flavour, workload: &str, contender: usize) -> bool {
        self.flavour == flavour && self.workload == workload && self.contender == contender
    }

    pub(crate) fn measured(&self, measure: Measure) -> Vec<f64> {
        self.samples.iter().map(|sample| measure.of(*sample)).collect()
    }

    pub(crate) fn median(&self, measure: Measure) -> f64 {
        median(&self.measured(measure)).expect("runs begin with their first sample")
    }
}
