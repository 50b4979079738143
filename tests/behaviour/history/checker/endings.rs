//! Work ends by itself unless all callers have left or its time is up (G2, G10, G11).

use shardflight::{OnAbandon, OnExpiry};

use super::{
    super::record::{Ending, Moment, Quiet},
    Violation,
    evidence::{Evidence, is_time_limit},
};

pub(super) fn check(evidence: &Evidence<'_>) -> Result<(), Violation> {
    let history = evidence.history;
    if let Quiet::Never = history.quiet {
        let running: Vec<_> =
            (0..history.executions.len()).filter(|&number| evidence.execution(number).end.is_none()).collect();
        return Err(evidence.violation("G10", "flights remain without callers", &[], &running));
    }
    for (number, execution) in history.executions.iter().enumerate() {
        if let Some((end, Ending::Dropped)) = execution.end {
            was_rightly_dropped(evidence, number, end)?;
        }
        expired_for_all_callers(evidence, number)?;
        runs_to_its_end(evidence, number)?;
    }
    overdue_flights_admit_no_callers(evidence)
}

fn was_rightly_dropped(evidence: &Evidence<'_>, number: usize, dropped: Moment) -> Result<(), Violation> {
    let rules = &evidence.history.rules;
    if evidence.closed_before(dropped.tick) {
        return Ok(());
    }
    let leader = evidence.leader(number);
    let leader_is_gone = Evidence::gone_before(leader, dropped.tick);
    // An expiry answers all waiting callers, though not all stay to read it. No caller has a result of it.
    let has_a_result = leader.answer.as_ref().is_some_and(|(_, answer)| answer.execution().is_some());
    if rules.on_expiry == OnExpiry::Fail && evidence.aged(number, dropped.at) && !has_a_result {
        return Ok(());
    }
    if rules.on_abandon == OnAbandon::Finish {
        return Err(evidence.violation("G10", "work that was to finish was dropped", &[], &[number]));
    }
    if !leader_is_gone {
        return Err(evidence.violation("G2", "work was dropped while its leader waited", &[], &[number]));
    }
    match attached_follower(evidence, number, dropped) {
        Some(call) => Err(evidence.violation("G2", "work was dropped while a follower waited", &[call], &[number])),
        None => Ok(()),
    }
}

/// A call that was certainly on the flight while its leader still was, and stayed until after the drop. Having been
/// sent is not enough: the leader may leave before its shard takes the join. What the shard was asked after that, and
/// answered, tells that it has.
fn attached_follower(evidence: &Evidence<'_>, number: usize, dropped: Moment) -> Option<usize> {
    let execution = evidence.execution(number);
    let left = evidence.leader(number).left?;
    let start = evidence.earliest_start(number);
    let stayed = evidence.calls_of(execution.key).find(|(caller, call)| {
        let (Some(begin), Some(sent)) = (call.begin, call.sent) else { return false };
        let joined = execution.begin.tick < begin.tick
            && evidence.answered_question(execution.key, &(sent.tick..left.begin.tick))
            && !evidence.forgotten(execution.key, &(start..sent.tick));
        *caller != execution.leader && joined && !Evidence::gone_before(call, dropped.tick)
    });
    stayed.map(|(caller, _)| caller).filter(|_| !evidence.aged(number, dropped.at))
}

/// Where one caller of a flight timed out with it, no caller gets its late result.
fn expired_for_all_callers(evidence: &Evidence<'_>, number: usize) -> Result<(), Violation> {
    let leader = evidence.leader(number);
    let has_expired = |answer| is_time_limit(answer, evidence.history.rules.deadline);
    if evidence.completed(number) && leader.answer.as_ref().is_some_and(|(_, answer)| has_expired(answer)) {
        let calls = &evidence.answered[number];
        return Err(evidence.violation("G11", "the late result of an expired flight reached a call", calls, &[number]));
    }
    Ok(())
}

fn runs_to_its_end(evidence: &Evidence<'_>, number: usize) -> Result<(), Violation> {
    let (rules, execution) = (&evidence.history.rules, evidence.execution(number));
    let cut_short = rules.on_abandon == OnAbandon::Abort
        || (rules.on_expiry == OnExpiry::Fail
            && evidence.aged(number, execution.end.map_or(execution.begin, |(end, _)| end).at));
    let Quiet::Since(quiet) = evidence.history.quiet else { return Ok(()) };
    if !cut_short && execution.end.is_none_or(|(end, _)| quiet.tick < end.tick) {
        return Err(evidence.violation("G10", "a flight was gone before its work had ended", &[], &[number]));
    }
    Ok(())
}

/// Where the statistics showed as many expiries as there can have been flights, all of those had expired.
fn overdue_flights_admit_no_callers(evidence: &Evidence<'_>) -> Result<(), Violation> {
    let history = evidence.history;
    for sighting in &history.sightings {
        let Some((seen, Ok(timeouts))) = sighting.end else { continue };
        let leads = |number: usize| {
            let call = evidence.call(number);
            let answer = call.answer.as_ref().and_then(|(_, answer)| answer.execution());
            call.begin.is_some_and(|begin| begin.tick < seen.tick)
                && answer.is_none_or(|execution| evidence.execution(execution).leader == number)
        };
        let leaders: Vec<_> = (0..history.calls.len()).filter(|&number| leads(number)).collect();
        if usize::try_from(timeouts).is_ok_and(|timeouts| timeouts < leaders.len()) {
            continue;
        }
        for (number, execution) in history.executions.iter().enumerate() {
            let late = evidence.answered[number]
                .iter()
                .copied()
                .find(|&call| evidence.call(call).begin.is_some_and(|begin| seen.tick < begin.tick));
            if let (true, Some(call)) = (leaders.contains(&execution.leader), late) {
                return Err(evidence.violation("G11", "a call got on a flight that had expired", &[call], &[number]));
            }
        }
    }
    Ok(())
}
