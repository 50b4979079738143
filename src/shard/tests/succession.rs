//! Flights whose work begins when the execution before it has ended (G1, G10, G11).

use std::time::Duration;

use super::bench::*;
use crate::{
    config::{OnAbandon, OnExpiry},
    shard::{Completion, Join, Limits, Permits, fake::Name},
};
use Became::{Follows, Leads, Refused};
use Gone::{Abandoned, Departed};
use Seen::{Alarm, Begins, CutShort, Discarded, Overdue, Overlaps};

const LIMIT: Duration = Duration::from_secs(5);
const NANOSECOND: Duration = Duration::from_nanos(1);

/// The next caller's join of key 7 that wants a flight which begins after it.
fn join_fresh(bench: &mut Bench) -> Became {
    bench.join_with(|join| Join { fresh: true, ..join })
}

/// A flight under way, and another that waits for it.
fn pair(on_abandon: OnAbandon) -> Bench {
    let mut bench = Bench::new(on_abandon);
    bench.join(7);
    assert_eq!(join_fresh(&mut bench), Leads(SECOND));
    assert_eq!(bench.seen(), [], "nothing begins");
    bench
}

/// A flight that was abandoned and whose work is not gone, and another that waits for that.
fn behind_aborted() -> Bench {
    let mut bench = Bench::new(OnAbandon::Abort);
    bench.join(7);
    assert_eq!(bench.leave(slot(flight(7, 0), 0)), Abandoned(1, FIRST));
    assert_eq!(bench.join(7), Leads(SECOND));
    assert_eq!(bench.seen(), [Alarm], "nothing begins");
    bench
}

#[test]
fn a_fresh_join_waits_for_the_running_work_and_others_still_share_that() {
    let mut bench = pair(OnAbandon::Finish);
    assert_eq!(bench.join(7), Follows(FIRST, 1));
    assert_eq!(join_fresh(&mut bench), Follows(SECOND, 1));
    assert_eq!(bench.complete(flight(7, 0), Completion::Value), Some(vec![1, 3]));
    assert_eq!(bench.seen(), [Begins(1)]);
    assert_eq!(bench.join(7), Follows(SECOND, 2), "it has taken the first one's place");
    assert_eq!(bench.complete(flight(7, 1), Completion::Value), Some(vec![2, 4, 5]));
    assert_eq!((bench.seen(), bench.gauges()), (vec![], (0, 0)));
}

#[test]
fn a_fresh_join_after_its_successor_has_begun_waits_for_that() {
    let mut bench = pair(OnAbandon::Finish);
    bench.complete(flight(7, 0), Completion::Value);
    assert_eq!(join_fresh(&mut bench), Leads(THIRD));
    assert_eq!(bench.seen(), [Begins(1)]);
    bench.complete(flight(7, 1), Completion::Value);
    assert_eq!(bench.seen(), [Begins(2)]);
}

#[test]
fn a_fresh_join_of_a_key_without_a_flight_leads() {
    let mut bench = Bench::new(OnAbandon::Finish);
    assert_eq!(join_fresh(&mut bench), Leads(FIRST));
    assert_eq!(bench.complete(flight(7, 0), Completion::Value), Some(vec![1]));
}

#[test]
fn a_fresh_join_makes_a_task_of_work_that_its_leader_polls() {
    let mut bench = Bench::new(OnAbandon::Finish);
    bench.join_with(|join| Join { in_place: true, ..join });
    assert_eq!((join_fresh(&mut bench), bench.seen()), (Leads(SECOND), vec![Begins(0)]));
    assert_eq!((join_fresh(&mut bench), bench.seen()), (Follows(SECOND, 1), vec![]));
}

#[test]
fn a_fresh_join_of_the_work_itself_is_refused() {
    let mut bench = Bench::new(OnAbandon::Finish);
    bench.join(7);
    let became = bench.join_with(|join| Join { fresh: true, origin: Some(FIRST), ..join });
    assert_eq!((became, bench.gauges()), (Refused("reentrant"), (1, 1)));
}

#[test]
fn a_pending_flight_needs_a_permit() {
    let mut bench = Bench::under(Limits { permits: Permits::new(1), ..limits(OnAbandon::Finish) });
    bench.join(7);
    assert_eq!(join_fresh(&mut bench), Refused("too_many_flights"));
    bench.complete(flight(7, 0), Completion::Value);
    assert_eq!(join_fresh(&mut bench), Leads(SECOND));
}

#[test]
fn a_forgotten_flight_takes_the_one_that_waits_for_it_along() {
    let mut bench = pair(OnAbandon::Finish);
    assert!(bench.shard.forget(7, &Name(7)).unwrap());
    assert_eq!((bench.stats().forgets, bench.gauges()), (2, (2, 2)));
    assert_eq!(bench.join(7), Leads(THIRD));
    assert_eq!(bench.complete(flight(7, 0), Completion::Value), Some(vec![1]));
    assert_eq!(bench.seen(), [Begins(1)], "its callers still get their result");
    assert_eq!(bench.join(7), Follows(THIRD, 1), "and no other does");
    assert_eq!(bench.complete(flight(7, 1), Completion::Value), Some(vec![2]));
}

#[test]
fn a_pending_flight_whose_callers_have_left_never_begins_under_abort() {
    let mut bench = pair(OnAbandon::Abort);
    assert_eq!(bench.leave(slot(flight(7, 1), 0)), Abandoned(2, SECOND));
    assert_eq!((bench.complete(flight(7, 0), Completion::Value), bench.seen()), (Some(vec![1]), vec![]));
    assert_eq!(bench.complete(flight(7, 1), Completion::Uncalled), None);
    assert_eq!((bench.stats().lingering, bench.gauges()), (0, (0, 0)));
}

#[test]
fn a_fresh_join_after_the_pending_flight_was_abandoned_leads_another() {
    let mut bench = pair(OnAbandon::Abort);
    bench.leave(slot(flight(7, 1), 0));
    assert_eq!((join_fresh(&mut bench), bench.seen()), (Leads(THIRD), vec![]));
    bench.complete(flight(7, 0), Completion::Value);
    assert_eq!(bench.seen(), [Begins(2)]);
}

#[test]
fn a_pending_flight_whose_callers_have_left_begins_under_finish() {
    let mut bench = pair(OnAbandon::Finish);
    assert_eq!(bench.leave(slot(flight(7, 1), 0)), Departed(2));
    bench.complete(flight(7, 0), Completion::Value);
    assert_eq!(bench.seen(), [Begins(1)]);
}

#[test]
fn a_pending_flight_of_a_join_that_is_refused_never_begins() {
    let mut bench = pair(OnAbandon::Finish);
    assert_eq!(bench.reject(slot(flight(7, 1), 0)), Abandoned(2, SECOND));
    bench.complete(flight(7, 0), Completion::Value);
    assert_eq!(bench.seen(), []);
}

#[test]
fn a_join_behind_aborted_work_begins_when_that_is_gone() {
    let mut bench = behind_aborted();
    assert_eq!(bench.join(7), Follows(SECOND, 1));
    assert_eq!(bench.complete(flight(7, 0), Completion::Aborted), None);
    assert_eq!(bench.seen(), [Begins(1), Discarded(FIRST)]);
    assert_eq!(bench.complete(flight(7, 1), Completion::Value), Some(vec![2, 3]));
    assert_eq!((bench.stats().overlaps, bench.stats().lingering, bench.gauges()), (0, 0, (0, 0)));
}

#[test]
fn a_join_behind_aborted_work_begins_at_the_end_of_the_grace_and_not_before() {
    let mut bench = behind_aborted();
    let begun = bench.now;
    bench.now = begun + GRACE.saturating_sub(NANOSECOND);
    assert_eq!((bench.tick(), bench.seen()), (Some(begun + GRACE), vec![]));
    bench.now += NANOSECOND;
    assert_eq!(bench.tick(), None);
    assert_eq!(bench.seen(), [Overlaps(SECOND, FIRST), Discarded(FIRST), Begins(1)]);
    assert_eq!((bench.stats().overlaps, bench.join(7)), (1, Follows(SECOND, 1)));
    assert_eq!((bench.complete(flight(7, 0), Completion::Aborted), bench.seen()), (None, vec![]));
    assert_eq!(bench.complete(flight(7, 1), Completion::Value), Some(vec![2, 3]));
    assert_eq!(bench.stats().lingering, 0);
}

#[test]
fn the_grace_begins_with_the_first_that_waits() {
    let mut bench = behind_aborted();
    let begun = bench.now;
    for caller in 0..3 {
        bench.now += GRACE / 4;
        // Each waits, and leaves: the next is another flight.
        let pending = flight(7, caller + 1);
        bench.leave(slot(pending, 0));
        assert_eq!(bench.join(7), Leads(pending.id.next()));
    }
    bench.seen();
    bench.now = begun + GRACE;
    bench.tick();
    assert_eq!(bench.seen(), [Overlaps(flight(7, 4).id, FIRST), Discarded(FIRST), Begins(4)]);
}

#[test]
fn without_a_grace_a_join_behind_aborted_work_leads_at_once() {
    let mut bench = Bench::under(Limits { abort_grace: Duration::ZERO, ..limits(OnAbandon::Abort) });
    bench.join(7);
    bench.leave(slot(flight(7, 0), 0));
    assert_eq!((bench.join(7), bench.seen()), (Leads(SECOND), vec![]));
    assert_eq!(bench.complete(flight(7, 1), Completion::Value), Some(vec![2]));
}

#[test]
fn a_join_behind_expired_work_begins_when_that_is_gone() {
    let mut bench = Bench::under(Limits { max_flight_duration: Some(LIMIT), ..limits(OnAbandon::Finish) });
    bench.join(7);
    bench.seen();
    bench.now += LIMIT;
    assert_eq!(bench.join(7), Leads(SECOND));
    let cut = CutShort(FIRST, vec![1], "timed_out", true);
    assert_eq!(bench.seen(), [Overdue(FIRST, 1), cut], "the alarm that is set will do");
    bench.now += GRACE / 2;
    assert_eq!(bench.complete(flight(7, 0), Completion::Aborted), None);
    assert_eq!(bench.seen(), [Begins(1), Discarded(FIRST)]);
    assert_eq!(bench.tick(), Some(bench.now + LIMIT), "its time runs from its beginning");
}

#[test]
fn the_successor_of_an_overdue_flight_that_goes_on_begins_once() {
    let limited = Limits { max_flight_duration: Some(LIMIT), on_expiry: OnExpiry::Detach, ..limits(OnAbandon::Finish) };
    let mut bench = Bench::under(limited);
    bench.join(7);
    join_fresh(&mut bench);
    bench.seen();
    bench.now += LIMIT;
    bench.tick();
    assert_eq!(bench.seen(), [Overdue(FIRST, 1), Begins(1)]);
    assert_eq!(bench.join(7), Follows(SECOND, 1));
    bench.now += LIMIT / 2;
    assert_eq!(bench.complete(flight(7, 0), Completion::Value), Some(vec![1]));
    assert_eq!(bench.seen(), []);
    assert_eq!(bench.tick(), Some(bench.now + LIMIT / 2), "its deadline is that of its beginning");
}

#[test]
fn closing_aborts_what_is_pending_and_discards_what_is_ending() {
    let mut bench = pair(OnAbandon::Finish);
    bench.close(false);
    let mut seen = bench.seen();
    seen.sort_by_key(|seen| matches!(seen, CutShort(SECOND, ..)));
    assert_eq!(seen, [CutShort(FIRST, vec![1], "closed", false), CutShort(SECOND, vec![2], "closed", true)]);
    let mut bench = behind_aborted();
    bench.close(false);
    let mut seen = bench.seen();
    seen.sort_by_key(|seen| matches!(seen, CutShort(..)));
    assert_eq!(seen, [Discarded(FIRST), CutShort(SECOND, vec![2], "closed", true)]);
    assert_eq!((bench.complete(flight(7, 0), Completion::Aborted), bench.seen()), (None, vec![]));
}
