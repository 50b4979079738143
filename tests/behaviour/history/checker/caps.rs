//! The caps hold exactly, and refuse no caller before they are reached (G7).

use std::ops::Range;

use super::{
    super::record::{Answer, Ending},
    Violation,
    evidence::{Evidence, attached},
};

pub(super) fn check(evidence: &Evidence<'_>) -> Result<(), Violation> {
    let (history, rules) = (evidence.history, &evidence.history.rules);
    for (number, answered) in evidence.answered.iter().enumerate() {
        // A caller that is answered by a flight waited for it when it completed.
        if answered.len() > rules.max_waiters {
            return Err(evidence.violation("G7", "more callers on a flight than may be", &[], &[number]));
        }
    }
    if most_at_once(certain_flights(evidence)) > rules.max_flights {
        return Err(evidence.violation("G7", "more flights than there may be", &[], &[]));
    }
    for (number, call) in history.calls.iter().enumerate() {
        let Some(within) = attached(call) else { continue };
        match &call.answer {
            Some((_, Answer::TooManyWaiters)) => {
                let others = evidence.calls_of(call.key).filter(|&(other, _)| other != number);
                let others = others.filter_map(|(_, other)| clip(&attached(other)?, &within));
                if most_at_once(others) < rules.max_waiters {
                    let sentence = "a call was turned away from a flight that had room";
                    return Err(evidence.violation("G7", sentence, &[number], &[]));
                }
            }
            Some((_, Answer::TooManyFlights)) => {
                let flights = possible_flights(evidence, number).filter_map(|flight| clip(&flight, &within));
                if most_at_once(flights) < rules.max_flights {
                    let sentence = "a call was turned away where another flight could have started";
                    return Err(evidence.violation("G7", sentence, &[number], &[]));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn clip(range: &Range<u64>, within: &Range<u64>) -> Option<Range<u64>> {
    let clipped = range.start.max(within.start)..range.end.min(within.end);
    (clipped.start < clipped.end).then_some(clipped)
}

/// The most of them that share a tick.
fn most_at_once(ranges: impl Iterator<Item = Range<u64>>) -> usize {
    let mut edges: Vec<_> = ranges.flat_map(|range| [(range.start, 1), (range.end, -1)]).collect();
    edges.sort_unstable();
    let counts = edges.into_iter().scan(0_isize, |count, (_, step)| {
        *count += step;
        Some(*count)
    });
    counts.max().map_or(0, isize::unsigned_abs)
}

/// When flights were certainly under way: while their work ran, if they completed with what it returned.
fn certain_flights(evidence: &Evidence<'_>) -> impl Iterator<Item = Range<u64>> {
    evidence.history.executions.iter().enumerate().filter_map(|(number, execution)| match execution.end {
        Some((end, Ending::Returned | Ending::Panicked)) if evidence.completed(number) => {
            Some(execution.begin.tick..end.tick)
        }
        _ => None,
    })
}

/// When flights may have been under way: all that a call can have started, from its begin until a caller has the result.
fn possible_flights(evidence: &Evidence<'_>, besides: usize) -> impl Iterator<Item = Range<u64>> {
    let mut ends: Vec<Option<u64>> = evidence.history.calls.iter().map(|_| Some(u64::MAX)).collect();
    for (number, call) in evidence.history.calls.iter().enumerate() {
        // A caller that has another call's result, or was refused, started nothing.
        let started_nothing = match &call.answer {
            Some((_, Answer::TooManyFlights | Answer::TooManyWaiters)) => true,
            Some((_, answer)) => answer.execution().is_some(),
            None => false,
        };
        if started_nothing {
            ends[number] = None;
        }
    }
    for (number, execution) in evidence.history.executions.iter().enumerate() {
        ends[execution.leader] = Some(evidence.published[number].unwrap_or(u64::MAX));
    }
    ends.into_iter().enumerate().filter_map(move |(number, end)| {
        let begin = evidence.call(number).begin?;
        (number != besides).then_some(begin.tick..end?)
    })
}
