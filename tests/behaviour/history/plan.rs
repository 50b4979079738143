//! What a round does, all of it decided before it begins: by a seed, or by proptest where it is to be shrunk.

use std::time::Duration;

use shardflight::{OnAbandon, OnExpiry, Priority};

use super::record::Rules;

#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) workers: usize,
    pub(super) shards: usize,
    pub(super) rules: Rules,
    pub(super) callers: Vec<Vec<Action>>,
    /// Plain threads that join blockingly.
    pub(super) threads: Vec<Vec<Blocking>>,
    /// Begins with a flight that is seen to expire before any other caller comes.
    pub(super) overdue_first: bool,
    pub(super) finish: Finish,
}

/// How a round ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Finish {
    /// When all callers are through.
    Quiet,
    /// With a shutdown in the middle of it.
    Shutdown { after: Duration, grace: Duration },
    /// With the runtime taken away from under callers on another one.
    RuntimeGone { after: Duration },
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    Join(Join),
    Forget { key: u8 },
    ForgetAll,
    Ask,
    Pause { yields: u8 },
}

#[derive(Clone, Debug)]
pub(super) struct Join {
    pub(super) key: u8,
    pub(super) api: Api,
    pub(super) work: Work,
    pub(super) treatment: Treatment,
    pub(super) max_wait: Option<Duration>,
    pub(super) priority: Priority,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Api {
    Join,
    TryJoin,
    JoinShared,
}

/// What a caller's work does, should it be run.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) yields: u8,
    pub(super) sleeps: Option<Duration>,
    /// It makes a join of its own on its way.
    pub(super) nested: Option<Box<Join>>,
    pub(super) end: WorkEnd,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum WorkEnd {
    Returns,
    Fails,
    Panics,
    PanicsInItsClosure,
    Never,
}

/// How a caller treats its join.
#[derive(Clone, Copy, Debug)]
pub(super) enum Treatment {
    Waits,
    NeverPolls,
    LeavesAfter {
        polls: u8,
    },
    /// Loses against a timer, as in `select!`.
    Races {
        limit: Duration,
    },
    /// Polls once, then does all else it has to do before it polls again.
    Parks,
    /// Is a task of its own, aborted from outside.
    Aborted {
        yields: u8,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Blocking {
    pub(super) key: u8,
    pub(super) yields: u8,
    pub(super) panics: bool,
    pub(super) max_wait: Option<Duration>,
}

impl Rules {
    pub(super) fn lax(on_abandon: OnAbandon) -> Self {
        Self {
            on_abandon,
            on_expiry: OnExpiry::Fail,
            deadline: None,
            max_waiters: 1_000_000,
            max_flights: 1_000_000,
            executions: None,
        }
    }
}
