//! One execution per key and window, and no caller on a flight of another window (G1, G3, G9, G11).

use shardflight::OnExpiry;

use super::{
    super::record::{Call, Execution},
    Violation,
    evidence::Evidence,
};

pub(super) fn check(evidence: &Evidence<'_>) -> Result<(), Violation> {
    for (number, first) in evidence.history.executions.iter().enumerate() {
        for (other, second) in evidence.executions_of(first.key) {
            let ended = first.end.map_or(u64::MAX, |(end, _)| end.tick);
            if first.begin.tick < second.begin.tick && second.begin.tick < ended {
                overlap(evidence, number, other)?;
            }
        }
    }
    for (number, call) in evidence.history.calls.iter().enumerate() {
        let answer = call.answer.as_ref().and_then(|(_, answer)| answer.execution());
        if let Some(execution) = answer {
            is_of_its_window(evidence, number, call, execution)?;
            was_admitted(evidence, number, call, execution)?;
        }
    }
    for (number, execution) in evidence.history.executions.iter().enumerate() {
        answers_its_leader(evidence, number, execution)?;
    }
    Ok(())
}

/// Two executions of a key ran at once: right only if the flight that started first was forgotten, or goes on past its deadline,
/// when the other one started. One that was cut short is waited for (G10, G11). Which of them that was need not be the order in which their tasks were first polled.
fn overlap(evidence: &Evidence<'_>, first: usize, second: usize) -> Result<(), Violation> {
    let goes_on_overdue = evidence.history.rules.on_expiry == OnExpiry::Detach;
    let excused = |older: usize, newer: usize| {
        let (start, begin) = (evidence.earliest_start(older), evidence.execution(newer).begin);
        start < begin.tick
            && (evidence.forgotten(evidence.execution(older).key, &(start..begin.tick))
                || (goes_on_overdue && evidence.aged(older, begin.at)))
    };
    if excused(first, second) || excused(second, first) {
        return Ok(());
    }
    Err(evidence.violation("G1", "two executions of a key in one window", &[], &[first, second]))
}

/// The call joined while the flight could be joined: not after its result was published, not after it was forgotten,
/// and not after another flight of the key had started.
fn is_of_its_window(evidence: &Evidence<'_>, number: usize, call: &Call, execution: usize) -> Result<(), Violation> {
    let Some(begin) = call.begin else { return Ok(()) };
    let fails = |guarantee, sentence, also: &[usize]| {
        let executions: Vec<_> = [execution].iter().chain(also).copied().collect();
        Err(evidence.violation(guarantee, sentence, &[number], &executions))
    };
    let ran = evidence.execution(execution).begin.tick;
    if evidence.published[execution].is_some_and(|published| published < begin.tick) {
        return fails("G3", "a call got a result that was published before", &[]);
    }
    let forgotten = evidence
        .history
        .forgets
        .iter()
        .filter(|forget| forget.covers(call.key))
        .any(|forget| ran < forget.begin.tick && matches!(forget.end, Some((end, Ok(_))) if end.tick < begin.tick));
    if forgotten {
        return fails("G9", "a call got on a flight that had been forgotten", &[]);
    }
    let newer = evidence.executions_of(call.key).find(|&(other, newer)| {
        other != execution && ran < evidence.earliest_start(other) && newer.begin.tick < begin.tick
    });
    match newer {
        None => Ok(()),
        Some((other, _)) if evidence.aged(execution, begin.at) => {
            fails("G11", "a call got on a flight that had made room for a newer one", &[other])
        }
        Some((other, _)) => fails("G3", "a call got on a flight that had made room for a newer one", &[other]),
    }
}

/// A call that was in its shard's queue before a flight's result could be, and came after the flight, is on it.
fn was_admitted(evidence: &Evidence<'_>, number: usize, call: &Call, execution: usize) -> Result<(), Violation> {
    let (Some(begin), Some(sent), Some((end, _))) = (call.begin, call.sent, &call.answer) else { return Ok(()) };
    for (other, live) in evidence.executions_of(call.key) {
        let Some((ended, _)) = live.end else { continue };
        let passed_by =
            other != execution && live.begin.tick < begin.tick && sent.tick < ended.tick && evidence.completed(other);
        let start = evidence.earliest_start(other);
        if passed_by && !evidence.forgotten(call.key, &(start..end.tick)) && !evidence.aged(other, end.at) {
            let sentence = "a call passed by a flight that it could have joined";
            return Err(evidence.violation("G1", sentence, &[number], &[other, execution]));
        }
    }
    Ok(())
}

/// Whose work runs has that work's result, or none: a completion is its own flight's alone.
fn answers_its_leader(evidence: &Evidence<'_>, number: usize, execution: &Execution) -> Result<(), Violation> {
    let Some((_, answer)) = &evidence.call(execution.leader).answer else { return Ok(()) };
    match answer.execution() {
        Some(other) if other != number => {
            let sentence = "a completion ended another flight than its own";
            Err(evidence.violation("G9", sentence, &[execution.leader], &[number, other]))
        }
        _ => Ok(()),
    }
}
