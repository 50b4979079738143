//! The claims of a scenario, which are checked.

use std::fmt;

use shardflight::Stats;

use crate::{arm::Arm, burst::Burst, gauge::Gauge};

#[derive(Debug, Default)]
pub(crate) struct Claims {
    claims: Vec<Claim>,
}

#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) text: String,
    pub(crate) holds: bool,
}

impl Claims {
    pub(crate) fn check(&mut self, arm: Arm, holds: bool, text: impl fmt::Display) {
        self.claims.push(Claim { text: format!("{arm}: {text}"), holds });
    }

    /// All clients that stayed got the right answer.
    pub(crate) fn check_answers(&mut self, arm: Arm, burst: &Burst) {
        let answered = burst.requests() - burst.hung_up;
        let mut text = format!("{} of {answered} answers are right", burst.right);
        if let Some(wrong) = &burst.first_wrong {
            text = format!("{text}; one is wrong: {wrong}");
        }
        self.check(arm, burst.right == answered, text);
    }

    /// At most one query per flight (window), and one at a time. If all requests arrive during the first flight, that is one
    /// query in all; on a busy machine, there may be more flights.
    pub(crate) fn check_windows(&mut self, requests: usize, queries: &Gauge, stats: &Stats) {
        let (total, windows) = (queries.total(), stats.executions);
        let text = format!("{} for {requests} requests, in {}", count(total, "query", "queries"), in_windows(windows));
        self.check(Arm::Coalesced, total as u64 <= windows && total > 0, text);
        self.check(Arm::Coalesced, queries.peak() <= 1, "never two queries at once");
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Claim> {
        self.claims.iter()
    }
}

fn in_windows(windows: u64) -> String {
    if windows == 1 {
        "one window".to_string()
    } else {
        format!("{windows} windows (not all requests reached the first)")
    }
}

pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.holds { "✓" } else { "✗" }, self.text)
    }
}
