//! What the director tells its replicas and what they report: a line of JSON each, on their standard input and output.

use serde::{Deserialize, Serialize};
use shardflight::redis::{ClusterStats, FailOpen};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Order {
    Ask(Ask),
    /// Report the tier's numbers.
    Count,
}

/// A stampede: so many callers at once for each of so many pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ask {
    /// Part of the pages' names, so that no two acts ask for the same.
    pub(crate) act: String,
    pub(crate) pages: u32,
    pub(crate) callers: u32,
    /// How long the backend takes over a page.
    pub(crate) milliseconds: u64,
    /// Or each replica by itself.
    pub(crate) across: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    Ready,
    /// One caller has its answer.
    Answered {
        microseconds: u64,
        error: Option<String>,
    },
    Counted(Numbers),
}

/// What the tier has done: in one replica since it started, or in all of them during one act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Numbers {
    pub(crate) led: u64,
    pub(crate) followed: u64,
    pub(crate) takeovers: u64,
    pub(crate) fail_opens: u64,
    /// Those of the fail-opens that didn't ask Redis, as the breaker was open.
    pub(crate) not_asked: u64,
    pub(crate) round_trips: u64,
    /// Callers that wait now.
    pub(crate) callers: u64,
    /// Breakers that are open now.
    pub(crate) open: u64,
}

impl Ask {
    pub(crate) fn requests(&self) -> u64 {
        u64::from(self.pages) * u64::from(self.callers)
    }
}

impl Numbers {
    pub(crate) fn of(stats: &ClusterStats, callers: usize) -> Self {
        Self {
            led: stats.led,
            followed: stats.followed,
            takeovers: stats.takeovers,
            fail_opens: stats.fail_opens(),
            not_asked: stats.fail_opens_by(FailOpen::Open),
            round_trips: stats.round_trips,
            callers: callers as u64,
            open: u64::from(stats.is_open),
        }
    }

    /// What has come to the counters since `before`; the gauges are as they are now.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            led: self.led - before.led,
            followed: self.followed - before.followed,
            takeovers: self.takeovers - before.takeovers,
            fail_opens: self.fail_opens - before.fail_opens,
            not_asked: self.not_asked - before.not_asked,
            round_trips: self.round_trips - before.round_trips,
            ..self
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            led: self.led + other.led,
            followed: self.followed + other.followed,
            takeovers: self.takeovers + other.takeovers,
            fail_opens: self.fail_opens + other.fail_opens,
            not_asked: self.not_asked + other.not_asked,
            round_trips: self.round_trips + other.round_trips,
            callers: self.callers + other.callers,
            open: self.open + other.open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_reports_are_lines() {
        let ask = Ask { act: "a\nb".into(), pages: 2, callers: 3, milliseconds: 4, across: true };
        for order in [Order::Ask(ask), Order::Count] {
            let line = serde_json::to_string(&order).unwrap();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(serde_json::from_str::<Order>(&line).unwrap(), order);
        }
        let answered = Report::Answered { microseconds: 7, error: Some("first\nsecond".into()) };
        for report in [Report::Ready, answered, Report::Counted(Numbers { led: 1, ..Numbers::default() })] {
            let line = serde_json::to_string(&report).unwrap();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(serde_json::from_str::<Report>(&line).unwrap(), report);
        }
    }

    #[test]
    fn counters_are_of_the_act_and_gauges_of_now() {
        let before = Numbers { led: 3, round_trips: 9, callers: 2, open: 1, ..Numbers::default() };
        let now = Numbers { led: 5, round_trips: 9, callers: 1, open: 0, ..Numbers::default() };
        assert_eq!(now.since(before), Numbers { led: 2, callers: 1, ..Numbers::default() });
    }

    #[test]
    fn sums_every_number() {
        let one = Numbers {
            led: 1,
            followed: 2,
            takeovers: 3,
            fail_opens: 4,
            not_asked: 5,
            round_trips: 6,
            callers: 7,
            open: 8,
        };
        let two = one.plus(one);
        assert_eq!(two.since(one), Numbers { callers: 14, open: 16, ..one });
    }
}
