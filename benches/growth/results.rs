//! The samples of all rounds.

use crate::{contenders::Facts, measure::Crowd, median::median};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Nanoseconds per call.
    Time,
    /// Live bytes per call.
    Size,
}

impl Measure {
    pub(crate) const ALL: [Self; 2] = [Self::Time, Self::Size];

    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Time => "ns",
            Self::Size => "bytes",
        }
    }
}

/// One contender in one crowd.
pub(crate) struct Point {
    pub(crate) crowd: Crowd,
    pub(crate) size: usize,
    /// In the field.
    pub(crate) contender: usize,
    /// By measure, round by round; none of a contender that is out.
    pub(crate) samples: [Vec<f64>; 2],
}

impl Point {
    pub(crate) fn new(crowd: Crowd, size: usize, contender: usize) -> Self {
        Self { crowd, size, contender, samples: [Vec::new(), Vec::new()] }
    }

    pub(crate) fn median(&self, measure: Measure) -> Option<f64> {
        median(&self.samples[measure as usize])
    }
}

pub(crate) struct Results {
    pub(crate) field: Vec<Facts>,
    pub(crate) points: Vec<Point>,
}

impl Results {
    /// `None` where the contender was out.
    pub(crate) fn median(&self, crowd: Crowd, size: usize, contender: usize, measure: Measure) -> Option<f64> {
        let is_meant = |point: &&Point| point.crowd == crowd && point.size == size && point.contender == contender;
        self.points.iter().find(is_meant)?.median(measure)
    }
}
