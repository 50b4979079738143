//! The caps hold exactly, and refuse no caller before they are reached (G7).

use std::ops::Range;

use super::{
    super::record::{Answer, Ending, Execution},
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
    if rules.executions.is_some_and(|rules| too_many_run(evidence, rules.most)) {
        return Err(evidence.violation("G7", "more executions than may run", &[], &[]));
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
            Some((_, Answer::Overloaded(max_queued))) => {
                // When is not known: its flight may have been given up already when the call joined it.
                let flights = possible_flights(evidence, number).filter_map(|flight| clip(&flight, &(0..within.end)));
                let most = rules.executions.map_or(0, |executions| executions.most);
                if most_at_once(flights) < most + max_queued {
                    let sentence = "a flight was given up while there was room in the queue";
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
    most_of(ranges.flat_map(|range| [(range.start, 1), (range.end, -1)]).collect())
}

/// The greatest count after a step, of steps by their ticks.
fn most_of(mut steps: Vec<(u64, isize)>) -> usize {
    steps.sort_unstable();
    let counts = steps.into_iter().scan(0_isize, |count, (_, step)| {
        *count += step;
        Some(*count)
    });
    counts.max().map_or(0, |most| most.max(0).unsigned_abs())
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

/// Whether more executions ran than may, by themselves: work that waits for a flight may have lent it its permit. For each wait that
/// was broken off, there may be one more for as long as what it waited for runs.
fn too_many_run(evidence: &Evidence<'_>, most: usize) -> bool {
    let (history, mut steps) = (evidence.history, Vec::new());
    // Work that a runtime drops is no longer counted.
    let open = 0..history.closing.map_or(u64::MAX, |closing| closing.tick);
    let mut add = |range: Range<u64>, count: isize| {
        steps.extend(clip(&range, &open).into_iter().flat_map(|range| [(range.start, count), (range.end, -count)]));
    };
    let ran_until = |execution: &Execution| execution.end.map_or(u64::MAX, |(end, _)| end.tick);
    for (number, execution) in history.executions.iter().enumerate() {
        let mut from = execution.begin.tick;
        for call in history.calls.iter().filter(|call| call.inside == Some(number)) {
            let Some(waits) = attached(call) else { continue };
            add(from..waits.start, 1);
            from = waits.end;
            if call.answer.as_ref().is_some_and(|(_, answer)| answer.execution().is_some()) {
                continue;
            }
            let awaited = evidence.executions_of(call.key).filter(|&(awaited, execution)| {
                evidence.earliest_start(awaited) < waits.end && waits.start < ran_until(execution)
            });
            add(waits.end..awaited.map(|(_, execution)| ran_until(execution)).max().unwrap_or(0), -1);
        }
        add(from..ran_until(execution), 1);
    }
    most_of(steps) > most
}

/// When flights may have been under way: all that a call can have started, from its begin until a caller has the result.
fn possible_flights(evidence: &Evidence<'_>, besides: usize) -> impl Iterator<Item = Range<u64>> {
    let mut ends: Vec<Option<u64>> = evidence.history.calls.iter().map(|_| Some(u64::MAX)).collect();
    for (number, call) in evidence.history.calls.iter().enumerate() {
        // A caller that has another call's result, or was refused, started nothing.
        match &call.answer {
            Some((_, Answer::TooManyFlights | Answer::TooManyWaiters)) => ends[number] = None,
            // Given up in the queue, a flight leaves nothing behind.
            Some((end, Answer::Overloaded(_) | Answer::QueueTimedOut(_))) => ends[number] = Some(end.tick),
            Some((_, answer)) if answer.execution().is_some() => ends[number] = None,
            _ => {}
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
