//! Decides from a log alone whether the guarantees held.
//!
//! A tick logged before something and one logged after it are all that is known of when it happened. Every rule here
//! accuses only if no order of events within those bounds would have been right: what cannot be told is let pass.

mod answers;
mod caps;
mod endings;
mod evidence;
mod story;
mod tests;
mod windows;

use std::fmt;

use self::evidence::Evidence;
use super::record::{Answer, History};

/// How a guarantee was broken, and the entries of the log that show it.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) guarantee: &'static str,
    pub(super) sentence: &'static str,
    pub(super) entries: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.guarantee, self.sentence)?;
        self.entries.iter().try_for_each(|entry| write!(f, "\n  {entry}"))
    }
}

/// What a log that shows no violation told of.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Verdict {
    pub(super) calls: usize,
    pub(super) executions: usize,
    pub(super) values: usize,
    pub(super) panics: usize,
    pub(super) timed_out: usize,
    pub(super) too_many: usize,
    pub(super) shed: usize,
    pub(super) reentrant: usize,
    pub(super) closed: usize,
    pub(super) left: usize,
    pub(super) dropped: usize,
}

pub(super) fn check(history: &History) -> Result<Verdict, Violation> {
    let evidence = Evidence::of(history);
    answers::check(&evidence)?;
    windows::check(&evidence)?;
    endings::check(&evidence)?;
    caps::check(&evidence)?;
    Ok(count(history))
}

fn count(history: &History) -> Verdict {
    let mut verdict =
        Verdict { calls: history.calls.len(), executions: history.executions.len(), ..Verdict::default() };
    for call in &history.calls {
        let Some((_, answer)) = &call.answer else {
            verdict.left += usize::from(call.left.is_some());
            continue;
        };
        match answer {
            Answer::Value { .. } => verdict.values += 1,
            Answer::Panic { .. } => verdict.panics += 1,
            Answer::TimedOut(_) => verdict.timed_out += 1,
            Answer::TooManyWaiters | Answer::TooManyFlights => verdict.too_many += 1,
            Answer::Overloaded(_) | Answer::QueueTimedOut(_) => verdict.shed += 1,
            Answer::Reentrant => verdict.reentrant += 1,
            Answer::Aborted | Answer::Closed => verdict.closed += 1,
            Answer::Unexpected(_) => {}
        }
    }
    verdict.dropped = history
        .executions
        .iter()
        .filter(|execution| matches!(execution.end, Some((_, super::record::Ending::Dropped))))
        .count();
    verdict
}
