//! The command line.

use clap::{Parser, value_parser};

use crate::scenario::Scenario;

/// Shows what a stampede of identical requests costs, directly and coalesced.
#[derive(Debug, Parser)]
#[command(name = "stampede")]
pub(crate) struct Arguments {
    /// The scenarios to run; all five by default
    #[arg(value_enum, value_name = "SCENARIO")]
    scenarios: Vec<Scenario>,
    /// Concurrent requests, instead of each scenario's own number
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(5..=10_000))]
    pub(crate) requests: Option<u32>,
    /// Database connections
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = value_parser!(u32).range(1..=100))]
    pub(crate) pool: u32,
    /// One JSON document on stdout, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

impl Arguments {
    /// The named scenarios in their order, without duplicates.
    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        if self.scenarios.is_empty() {
            return Scenario::ALL.to_vec();
        }
        let mut scenarios = Vec::new();
        for scenario in &self.scenarios {
            if !scenarios.contains(scenario) {
                scenarios.push(*scenario);
            }
        }
        scenarios
    }
}
