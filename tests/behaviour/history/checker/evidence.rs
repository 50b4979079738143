//! What follows from a log at once.

use std::{ops::Range, time::Duration};

use shardflight::Closed;

use super::{
    super::record::{Answer, Call, Execution, History},
    Violation,
};

/// By how much a flight may seem younger than its shard takes it for: a shard dates what it starts by the beginning of
/// its turn, and the machine may keep it off its core in the middle of one. On top of that come the stalls that were
/// measured.
const SLACK: Duration = Duration::from_millis(300);

pub(super) struct Evidence<'a> {
    pub(super) history: &'a History,
    /// By execution: the calls that were answered by it.
    pub(super) answered: Vec<Vec<usize>>,
    /// By execution: the tick at which its result was certainly published.
    pub(super) published: Vec<Option<u64>>,
    /// By key.
    executions: Vec<Vec<usize>>,
    calls: Vec<Vec<usize>>,
}

impl<'a> Evidence<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let keys = 1 + history.calls.iter().map(|call| usize::from(call.key)).max().unwrap_or(0);
        let mut evidence = Self {
            history,
            answered: vec![Vec::new(); history.executions.len()],
            published: vec![None; history.executions.len()],
            executions: vec![Vec::new(); keys],
            calls: vec![Vec::new(); keys],
        };
        for (number, call) in history.calls.iter().enumerate() {
            evidence.calls[usize::from(call.key)].push(number);
            let Some((end, answer)) = &call.answer else { continue };
            if let Some(execution) = answer.execution() {
                evidence.answered[execution].push(number);
                let published = &mut evidence.published[execution];
                *published = Some(published.map_or(end.tick, |other| other.min(end.tick)));
            }
        }
        for (number, execution) in history.executions.iter().enumerate() {
            evidence.executions[usize::from(execution.key)].push(number);
        }
        evidence
    }

    pub(super) fn call(&self, number: usize) -> &'a Call {
        &self.history.calls[number]
    }

    pub(super) fn execution(&self, number: usize) -> &'a Execution {
        &self.history.executions[number]
    }

    pub(super) fn calls_of(&self, key: u8) -> impl Iterator<Item = (usize, &'a Call)> {
        self.calls[usize::from(key)].iter().map(|&number| (number, self.call(number)))
    }

    pub(super) fn executions_of(&self, key: u8) -> impl Iterator<Item = (usize, &'a Execution)> {
        self.executions[usize::from(key)].iter().map(|&number| (number, self.execution(number)))
    }

    pub(super) fn leader(&self, execution: usize) -> &'a Call {
        self.call(self.execution(execution).leader)
    }

    /// Before the flight of this execution can have started.
    pub(super) fn earliest_start(&self, execution: usize) -> u64 {
        self.leader(execution).begin.map_or(0, |begin| begin.tick)
    }

    /// Its flight was in the map until its result was published: no caller gets the result of one that was cut short.
    pub(super) fn completed(&self, execution: usize) -> bool {
        self.published[execution].is_some()
    }

    /// Whether a forget of the key may have taken effect within these ticks.
    pub(super) fn forgotten(&self, key: u8, within: &Range<u64>) -> bool {
        self.history.forgets.iter().filter(|forget| forget.covers(key)).any(|forget| match forget.end {
            Some((_, Err(Closed))) => false,
            Some((end, Ok(detached))) => detached > 0 && forget.begin.tick < within.end && within.start < end.tick,
            None => forget.begin.tick < within.end,
        })
    }

    /// Whether the key's shard was asked something and answered it within these ticks. It takes what is in its queue
    /// before it answers.
    pub(super) fn answered_question(&self, key: u8, within: &Range<u64>) -> bool {
        let history = self.history;
        let forgets = history.forgets.iter().filter(|forget| forget.covers(key));
        let forgets = forgets.filter_map(|forget| match forget.end? {
            (end, Ok(_)) => Some((forget.begin, end)),
            (_, Err(Closed)) => None,
        });
        let sightings = history.sightings.iter().filter_map(|sighting| match sighting.end? {
            (end, Ok(_)) => Some((sighting.begin, end)),
            (_, Err(Closed)) => None,
        });
        forgets.chain(sightings).any(|(begin, end)| within.start < begin.tick && end.tick < within.end)
    }

    /// How much older than it seems a flight may be.
    pub(super) fn slack(&self) -> Duration {
        SLACK + 2 * self.history.stall
    }

    /// Whether the flight of this execution may have been past its deadline at that time. Its answers needn't show it:
    /// it takes no callers from that moment on, and a result that comes before the shard ends it still completes it.
    pub(super) fn aged(&self, execution: usize, at: Duration) -> bool {
        let (Some(limit), Some(begin)) = (self.history.rules.deadline, self.leader(execution).begin) else {
            return false;
        };
        at.saturating_sub(begin.at) + self.slack() >= limit
    }

    /// Whether the call may have been off its flight before that tick, other than by the flight's completion.
    pub(super) fn gone_before(call: &Call, tick: u64) -> bool {
        match (&call.answer, call.left) {
            (_, Some(left)) => left.begin.tick < tick,
            (Some((_, answer)), _) => answer.execution().is_none() && call.begin.is_some_and(|begin| begin.tick < tick),
            (None, None) => false,
        }
    }

    /// Whether callers may have been sent away by then.
    pub(super) fn closed_before(&self, tick: u64) -> bool {
        self.history.closing.is_some_and(|closing| closing.tick < tick)
    }

    pub(super) fn violation(
        &self,
        guarantee: &'static str,
        sentence: &'static str,
        calls: &[usize],
        executions: &[usize],
    ) -> Violation {
        let calls = calls.iter().map(|&number| format!("call {number}: {:?}", self.call(number)));
        let executions = executions.iter().flat_map(|&number| {
            let execution = self.execution(number);
            let leader = self.leader(number);
            [
                format!("execution {number}: {execution:?}, answered {:?}", self.answered[number]),
                format!("  led by call {}: {leader:?}", execution.leader),
            ]
        });
        Violation { guarantee, sentence, entries: calls.chain(executions).collect() }
    }
}

/// When a call was certainly not yet, and certainly no longer, on any flight.
pub(super) fn attached(call: &Call) -> Option<Range<u64>> {
    let end = match (&call.answer, call.left) {
        (Some((end, _)), _) => end.tick,
        (None, Some(left)) => left.end.tick,
        (None, None) => u64::MAX,
    };
    Some(call.begin?.tick..end)
}

pub(super) fn is_time_limit(answer: &Answer, limit: Option<Duration>) -> bool {
    matches!(answer, Answer::TimedOut(after) if Some(*after) == limit)
}
