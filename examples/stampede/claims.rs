//! What a scenario says about itself, and whether it is true.

use std::fmt;

use shardflight::Stats;

use crate::{arm::Arm, gauge::Gauge, rush::Rush};

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

    /// Everybody who stayed was answered, and rightly.
    pub(crate) fn check_answers(&mut self, arm: Arm, rush: &Rush) {
        let answered = rush.requests() - rush.hung_up;
        let mut text = format!("{} of {answered} answers are right", rush.right);
        if let Some(wrong) = &rush.first_wrong {
            text = format!("{text}; one is wrong: {wrong}");
        }
        self.check(arm, rush.right == answered, text);
    }

    /// One query a window, one after the other. Where every request got in before the first window closed, that is one
    /// query in all; where the machine was too busy for that, the numbers say so.
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
    if windows == 1 { "one window".to_string() } else { format!("{windows} windows (not all got into the first)") }
}

pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.holds { "✓" } else { "✗" }, self.text)
    }
}
