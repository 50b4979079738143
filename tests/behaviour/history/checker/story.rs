//! Logs written by hand.

use std::time::Duration;

use shardflight::{OnAbandon, OnExpiry};

use super::{
    super::record::{
        Answer, Call, Ending, Execution, Executions, Forget, History, Moment, Quiet, Rules, Sighting, Span,
    },
    check,
};

/// On the clock of these logs a tick is a millisecond.
pub(super) fn at(tick: u64) -> Moment {
    Moment { tick, at: Duration::from_millis(tick) }
}

pub(super) fn span(begin: u64, end: u64) -> Span {
    Span { begin: at(begin), end: at(end) }
}

pub(super) fn value(execution: usize) -> Answer {
    Answer::Value { execution }
}

/// A log in the making. Calls and executions count from 0; all are of key 0.
pub(super) struct Story(pub(super) History);

impl Story {
    pub(super) fn under(on_abandon: OnAbandon) -> Self {
        Self(History {
            rules: Rules::lax(on_abandon),
            calls: Vec::new(),
            executions: Vec::new(),
            forgets: Vec::new(),
            sightings: Vec::new(),
            closing: None,
            quiet: Quiet::Unasked,
            stall: Duration::ZERO,
        })
    }

    pub(super) fn new() -> Self {
        Self::under(OnAbandon::Finish)
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut History)) -> Self {
        change(&mut self.0);
        self
    }

    pub(super) fn deadline(self, millis: u64, on_expiry: OnExpiry) -> Self {
        self.with(|history| {
            history.rules.deadline = Some(Duration::from_millis(millis));
            history.rules.on_expiry = on_expiry;
        })
    }

    pub(super) fn executions(self, most: usize, max_queued: usize) -> Self {
        let queue_timeout = Some(Duration::from_millis(10));
        self.with(|history| history.rules.executions = Some(Executions { most, max_queued, queue_timeout }))
    }

    /// A call whose first poll ends at the tick after its begin.
    pub(super) fn call(self, begin: u64) -> Self {
        let (begin, sent) = (Some(at(begin)), Some(at(begin + 1)));
        let call = Call { key: 0, inside: None, max_wait: None, begin, sent, answer: None, left: None };
        self.with(|history| history.calls.push(call))
    }

    pub(super) fn answered(self, begin: u64, end: u64, answer: Answer) -> Self {
        self.call(begin).with(|history| history.calls.last_mut().unwrap().answer = Some((at(end), answer)))
    }

    pub(super) fn left(self, begin: u64, leaves: u64) -> Self {
        self.call(begin).with(|history| history.calls.last_mut().unwrap().left = Some(span(leaves, leaves + 1)))
    }

    pub(super) fn work(self, leader: usize, begin: u64, end: u64, ending: Ending) -> Self {
        let (begin, end) = (at(begin), Some((at(end), ending)));
        self.with(|history| history.executions.push(Execution { key: 0, leader, begin, end }))
    }

    pub(super) fn returns(self, leader: usize, begin: u64, end: u64) -> Self {
        self.work(leader, begin, end, Ending::Returned)
    }

    pub(super) fn forgets(self, begin: u64, end: u64) -> Self {
        let forget = Forget { key: Some(0), begin: at(begin), end: Some((at(end), Ok(1))) };
        self.with(|history| history.forgets.push(forget))
    }

    pub(super) fn asks(self, begin: u64, end: u64, timeouts: u64) -> Self {
        self.with(|history| history.sightings.push(Sighting { begin: at(begin), end: Some((at(end), Ok(timeouts))) }))
    }

    #[track_caller]
    pub(super) fn is_right(&self) {
        if let Err(violation) = check(&self.0) {
            panic!("accused: {violation}");
        }
    }

    #[track_caller]
    pub(super) fn breaks(&self, guarantee: &str) {
        match check(&self.0) {
            Ok(verdict) => panic!("let pass: {verdict:?}"),
            Err(violation) => assert_eq!(violation.guarantee, guarantee, "{violation}"),
        }
    }
}
