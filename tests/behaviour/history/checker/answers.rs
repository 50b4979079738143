//! Every caller is answered, by what it may be answered by (G2, G4, G5, G12).

use std::{collections::HashSet, time::Duration};

use shardflight::OnExpiry;

use super::{
    super::record::{Answer, Call, Ending, Moment},
    Violation,
    evidence::{Evidence, attached, is_time_limit},
};

pub(super) fn check(evidence: &Evidence<'_>) -> Result<(), Violation> {
    leads_once(evidence)?;
    questions_are_answered(evidence)?;
    for (number, call) in evidence.history.calls.iter().enumerate() {
        let fails = |guarantee, sentence| Err(evidence.violation(guarantee, sentence, &[number], &[]));
        match (&call.answer, call.left) {
            (None, None) if call.begin.is_some() => return fails("G5", "a live caller was never answered"),
            (Some((end, answer)), _) => match answer.execution() {
                Some(execution) => by_work(evidence, number, *end, answer, execution)?,
                None => by_coalescer(evidence, number, call, *end, answer)?,
            },
            _ => {}
        }
    }
    Ok(())
}

fn questions_are_answered(evidence: &Evidence<'_>) -> Result<(), Violation> {
    let (forgets, sightings) = (&evidence.history.forgets, &evidence.history.sightings);
    let forgets = forgets.iter().filter(|forget| forget.end.is_none()).map(|forget| format!("{forget:?}"));
    let sightings = sightings.iter().filter(|look| look.end.is_none()).map(|look| format!("{look:?}"));
    let entries: Vec<_> = forgets.chain(sightings).collect();
    if entries.is_empty() {
        return Ok(());
    }
    Err(Violation { guarantee: "G5", sentence: "a question was never answered", entries })
}

fn leads_once(evidence: &Evidence<'_>) -> Result<(), Violation> {
    let mut leaders = HashSet::new();
    for (number, execution) in evidence.history.executions.iter().enumerate() {
        let call = execution.leader;
        if !leaders.insert(call) {
            return Err(evidence.violation("G2", "the work of a call was restarted", &[call], &[number]));
        }
        if evidence.call(call).begin.is_none_or(|begin| execution.begin.tick < begin.tick) {
            return Err(evidence.violation("lazy", "work ran before its join was polled", &[call], &[number]));
        }
    }
    Ok(())
}

fn by_work(
    evidence: &Evidence<'_>,
    number: usize,
    end: Moment,
    answer: &Answer,
    execution: usize,
) -> Result<(), Violation> {
    let fails = |guarantee, sentence| Err(evidence.violation(guarantee, sentence, &[number], &[execution]));
    if evidence.execution(execution).key != evidence.call(number).key {
        return fails("G4", "a call was answered with another key's result");
    }
    match evidence.execution(execution).end {
        Some((_, Ending::Dropped)) => fails("G2", "a call was answered by work that was dropped"),
        Some((ended, ending)) if ended.tick < end.tick => {
            let panicked = matches!(answer, Answer::Panic { .. });
            if panicked == (ending == Ending::Panicked) {
                Ok(())
            } else {
                fails("G8", "the answer is not how the work ended")
            }
        }
        _ => fails("G5", "a call was answered before the work had ended"),
    }
}

fn by_coalescer(
    evidence: &Evidence<'_>,
    number: usize,
    call: &Call,
    end: Moment,
    answer: &Answer,
) -> Result<(), Violation> {
    let fails = |guarantee, sentence| Err(evidence.violation(guarantee, sentence, &[number], &[]));
    let Some(begin) = call.begin else { return fails("lazy", "a call was answered that never was polled") };
    match answer {
        Answer::Closed | Answer::Aborted if evidence.closed_before(end.tick) => Ok(()),
        Answer::Closed => fails("G5", "a call was sent away by a coalescer that was open"),
        Answer::Aborted => fails("G10", "a call was on a flight whose work was dropped"),
        Answer::Reentrant if call.inside.is_none() => fails("G12", "a caller that is no work got Reentrant"),
        Answer::Reentrant if !may_close_a_cycle(evidence, call) => fails("G12", "there was no wait cycle to close"),
        Answer::Unexpected(_) => fails("G5", "no caller is to get this answer"),
        Answer::TimedOut(after) if is_time_limit(answer, call.max_wait) => {
            if end.at.saturating_sub(begin.at) < *after {
                return fails("G5", "a call gave up before its time");
            }
            Ok(())
        }
        Answer::Overloaded(_) | Answer::QueueTimedOut(_) => by_queue(evidence, number, call, end, answer),
        Answer::TimedOut(_) => by_deadline(evidence, number, call, end, answer),
        _ => Ok(()),
    }
}

/// `TimedOut` of the flight's: it must have been old enough, so there must be a call that can have led it.
fn by_deadline(
    evidence: &Evidence<'_>,
    number: usize,
    call: &Call,
    end: Moment,
    answer: &Answer,
) -> Result<(), Violation> {
    let rules = &evidence.history.rules;
    let may_have_led = |(leader, other): (usize, &Call)| {
        let execution = evidence.executions_of(call.key).find(|(_, execution)| execution.leader == leader);
        let not_completed = execution.is_none_or(|(execution, _)| !evidence.completed(execution));
        let old_enough =
            rules.deadline.is_some_and(|limit| has_waited(other, end, limit.saturating_sub(evidence.slack())));
        has_no_result(other) && not_completed && old_enough
    };
    if rules.on_expiry == OnExpiry::Detach || !is_time_limit(answer, rules.deadline) {
        return Err(evidence.violation("G11", "there is no such deadline", &[number], &[]));
    }
    if !evidence.calls_of(call.key).any(may_have_led) {
        return Err(evidence.violation("G11", "no flight of the key had reached its deadline", &[number], &[]));
    }
    Ok(())
}

/// Given up in the queue: there must be such a limit, and for a timeout a call that can have led a flight which has waited for so
/// long. Whether the queue was full is said with the caps.
fn by_queue(
    evidence: &Evidence<'_>,
    number: usize,
    call: &Call,
    end: Moment,
    answer: &Answer,
) -> Result<(), Violation> {
    let fails = |sentence| Err(evidence.violation("G5", sentence, &[number], &[]));
    let executions = evidence.history.rules.executions;
    let queue_timeout = match *answer {
        Answer::Overloaded(limit) if executions.is_some_and(|rules| rules.max_queued == limit) => return Ok(()),
        Answer::QueueTimedOut(after) => executions.and_then(|rules| rules.queue_timeout).filter(|&own| own == after),
        _ => None,
    };
    let Some(limit) = queue_timeout else { return fails("there is no such limit of the queue") };
    let never_began = |leader| evidence.executions_of(call.key).all(|(_, execution)| execution.leader != leader);
    let may_have_led = |(leader, other)| never_began(leader) && has_no_result(other) && has_waited(other, end, limit);
    if evidence.calls_of(call.key).any(may_have_led) {
        return Ok(());
    }
    fails("no flight of the key had waited for so long")
}

fn has_no_result(call: &Call) -> bool {
    call.answer.as_ref().is_none_or(|(_, answer)| answer.execution().is_none())
}

fn has_waited(call: &Call, until: Moment, limit: Duration) -> bool {
    call.begin.is_some_and(|begin| until.at.saturating_sub(begin.at) >= limit)
}

/// Whether the joined key's work may have waited, by way of others or not, for the work that made this call.
fn may_close_a_cycle(evidence: &Evidence<'_>, call: &Call) -> bool {
    let (Some(inside), Some(within)) = (call.inside, attached(call)) else { return false };
    let goal = evidence.execution(inside).key;
    let mut reached = vec![call.key];
    let mut next = 0;
    while let Some(&key) = reached.get(next) {
        if key == goal {
            return true;
        }
        next += 1;
        for (inside, other) in evidence.history.calls.iter().filter_map(|other| Some((other.inside?, other))) {
            let meanwhile = attached(other).is_some_and(|other| other.start < within.end && within.start < other.end);
            if meanwhile && evidence.execution(inside).key == key && !reached.contains(&other.key) {
                reached.push(other.key);
            }
        }
    }
    false
}
