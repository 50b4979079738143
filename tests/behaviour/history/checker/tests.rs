//! The checker itself, on logs written by hand: for each guarantee one that is right and one that is not.

use std::time::Duration;

use shardflight::{OnAbandon, OnExpiry};

use super::{
    super::record::{Answer, Ending, Quiet},
    story::{Story, at, span, value},
};

#[test]
fn g1_executions_may_overlap_only_after_a_forget() {
    let overlap = || {
        let story = Story::new().answered(0, 20, value(0)).answered(7, 21, value(1));
        story.returns(0, 3, 18).returns(1, 10, 19)
    };
    overlap().forgets(5, 6).is_right();
    overlap().breaks("G1");
    overlap().forgets(11, 12).breaks("G1");
}

#[test]
fn g1_executions_may_not_overlap_where_the_older_was_abandoned() {
    let abandoned = |ends| {
        let story = Story::under(OnAbandon::Abort).left(0, 5).answered(7, 21, value(1));
        story.work(0, 3, ends, Ending::Dropped).returns(1, 10, 19)
    };
    abandoned(9).is_right();
    abandoned(18).breaks("G1");
}

#[test]
fn g1_executions_may_overlap_where_the_older_goes_on_past_its_deadline() {
    let overlap = |deadline, on_expiry| {
        let story = Story::new().deadline(deadline, on_expiry);
        let story = story.answered(0, 2_000, value(0)).answered(1_500, 2_001, value(1));
        story.returns(0, 3, 1_900).returns(1, 1_510, 1_901)
    };
    overlap(1_000, OnExpiry::Detach).is_right();
    overlap(5_000, OnExpiry::Detach).breaks("G1");
}

#[test]
fn g1_a_flight_is_not_passed_by() {
    let second = |begin| {
        let story = Story::new().answered(0, 20, value(0)).answered(begin, 30, value(1));
        story.returns(0, 3, 15).returns(1, 16, 25)
    };
    // Its join may have come to the shard after the result.
    second(14).is_right();
    second(10).breaks("G1");
}

#[test]
fn g1_a_flight_completed_past_its_deadline_may_be_passed_by() {
    let passed = |deadline| {
        let story = Story::new().deadline(deadline, OnExpiry::Fail);
        let story = story.answered(0, 2_000, value(0)).answered(1_500, 2_001, value(1));
        story.returns(0, 3, 1_900).returns(1, 1_910, 1_920)
    };
    passed(1_000).is_right();
    passed(5_000).breaks("G1");
}

#[test]
fn g2_work_is_not_dropped_under_a_caller() {
    let dropped = |leaves| {
        let story = Story::under(OnAbandon::Abort).left(0, leaves);
        story.work(0, 3, 10, Ending::Dropped)
    };
    dropped(7).is_right();
    dropped(12).breaks("G2");
}

#[test]
fn g2_work_is_not_dropped_under_a_known_follower() {
    let dropped = || {
        let story = Story::under(OnAbandon::Abort).left(0, 20).left(5, 40);
        story.work(0, 3, 30, Ending::Dropped)
    };
    // The leader may have been gone before the shard took the follower's join.
    dropped().is_right();
    dropped().asks(10, 15, 0).breaks("G2");
}

#[test]
fn g2_work_is_not_restarted() {
    let story = Story::new().answered(0, 20, value(0)).returns(0, 3, 10);
    story.is_right();
    story.with(|history| history.executions.push(history.executions[0].clone())).breaks("G2");
}

#[test]
fn g3_a_result_is_not_handed_out_after_it_was_published() {
    let second = |begin| Story::new().answered(0, 20, value(0)).answered(begin, 30, value(0)).returns(0, 3, 15);
    second(19).is_right();
    second(21).breaks("G3");
}

#[test]
fn g3_a_flight_replaced_by_a_newer_one_takes_no_callers() {
    // The late caller alone had the older one's result.
    let late = |begin| {
        let story = Story::under(OnAbandon::Abort).left(0, 5).answered(7, 31, value(1)).answered(begin, 30, value(0));
        story.returns(0, 3, 6).returns(1, 10, 25)
    };
    late(9).is_right();
    late(11).breaks("G3");
}

#[test]
fn g5_a_live_caller_is_answered() {
    Story::new().left(0, 5).returns(0, 3, 15).is_right();
    Story::new().call(0).returns(0, 3, 15).breaks("G5");
    // One that never was polled waits for nothing.
    Story::new().call(0).with(|history| history.calls[0].begin = None).is_right();
}

#[test]
fn g5_a_question_is_answered() {
    let asks = || Story::new().asks(1, 2, 0).forgets(3, 4);
    asks().is_right();
    asks().with(|history| history.sightings[0].end = None).breaks("G5");
    asks().with(|history| history.forgets[0].end = None).breaks("G5");
}

#[test]
fn g5_no_caller_gets_closed_before_the_coalescer_closes() {
    let sent_away = || Story::new().answered(0, 20, Answer::Closed);
    sent_away().with(|history| history.closing = Some(at(19))).is_right();
    sent_away().with(|history| history.closing = Some(at(21))).breaks("G5");
}

#[test]
fn g7_a_flight_with_room_refuses_no_caller() {
    let turned_away = |leaves| {
        let story = Story::new().with(|history| history.rules.max_waiters = 2);
        let story = story.answered(0, 30, value(0)).left(5, leaves).answered(20, 25, Answer::TooManyWaiters);
        story.returns(0, 3, 28)
    };
    turned_away(21).is_right();
    turned_away(10).breaks("G7");
}

#[test]
fn g7_a_flight_has_no_more_callers_than_it_may() {
    let crowd = |cap| {
        let story = Story::new().with(|history| history.rules.max_waiters = cap);
        story.answered(0, 30, value(0)).answered(5, 31, value(0)).returns(0, 3, 28)
    };
    crowd(2).is_right();
    crowd(1).breaks("G7");
}

#[test]
fn g7_there_are_as_many_flights_as_there_may_be() {
    let story = |cap| {
        let story = Story::new().with(|history| history.rules.max_flights = cap).forgets(5, 6);
        story.answered(0, 20, value(0)).answered(7, 21, value(1)).returns(0, 3, 18).returns(1, 10, 19)
    };
    story(2).is_right();
    story(1).breaks("G7");
    story(2).answered(12, 15, Answer::TooManyFlights).is_right();
    story(3).answered(12, 15, Answer::TooManyFlights).breaks("G7");
}

#[test]
fn g7_no_more_executions_run_than_may() {
    let story = |most| {
        let story = Story::new().executions(most, 1).forgets(5, 6);
        story.answered(0, 20, value(0)).answered(7, 21, value(1)).returns(0, 3, 18).returns(1, 10, 19)
    };
    story(2).is_right();
    story(1).breaks("G7");
    story(1).with(|history| history.closing = Some(at(9))).is_right();
}

#[test]
fn g7_only_work_that_waits_lends_its_permit() {
    let waits = || {
        let story = Story::new().executions(1, 1).answered(0, 30, value(0)).answered(10, 20, value(1));
        story.returns(0, 3, 28).returns(1, 12, 18).with(|history| {
            history.calls[1].inside = Some(0);
            (history.calls[1].key, history.executions[1].key) = (1, 1);
        })
    };
    waits().is_right();
    waits().with(|history| history.calls[1].inside = None).breaks("G7");
    // It goes on beside the flight that has its permit, until that ends.
    let stops_waiting =
        || waits().with(|history| (history.calls[1].answer, history.calls[1].left) = (None, Some(span(14, 15))));
    stops_waiting().is_right();
    let third = |story: Story, begins, ends| {
        let story = story.answered(11, 29, value(2)).returns(2, begins, ends);
        story.with(|history| (history.calls[2].key, history.executions[2].key) = (2, 2))
    };
    third(waits(), 22, 27).breaks("G7");
    third(stops_waiting(), 13, 14).breaks("G7");
    third(stops_waiting(), 17, 27).breaks("G7");
}

#[test]
fn g7_a_flight_is_given_up_only_where_the_queue_is_full() {
    let given_up = |max_queued| {
        let story = Story::new().executions(1, max_queued).answered(0, 30, value(0)).returns(0, 3, 28);
        let story = story.answered(10, 15, Answer::Overloaded(max_queued));
        story.with(|history| history.calls[1].key = 1)
    };
    let beside = |story: Story| {
        let story = story.answered(5, 40, value(1)).returns(2, 31, 35);
        story.with(|history| (history.calls[2].key, history.executions[1].key) = (2, 2))
    };
    beside(given_up(1)).is_right();
    given_up(1).breaks("G7");
    beside(given_up(2)).breaks("G7");
    given_up(1).with(|history| history.rules.executions = None).breaks("G5");
}

#[test]
fn g5_a_flight_waits_in_the_queue_for_its_time() {
    let times_out = |end, after| {
        Story::new().executions(1, 1).answered(0, end, Answer::QueueTimedOut(Duration::from_millis(after)))
    };
    times_out(10, 10).is_right();
    times_out(9, 10).breaks("G5");
    times_out(20, 20).breaks("G5");
    times_out(10, 10).work(0, 3, 9, Ending::Dropped).breaks("G5");
}

#[test]
fn g9_a_forgotten_flight_takes_no_callers() {
    let second =
        |begin| Story::new().answered(0, 30, value(0)).answered(begin, 31, value(0)).returns(0, 3, 28).forgets(5, 10);
    second(8).is_right();
    second(11).breaks("G9");
}

#[test]
fn g9_a_completion_ends_no_flight_but_its_own() {
    let second = |execution| {
        let story = Story::new().forgets(5, 6).answered(0, 30, value(0)).answered(7, 31, value(execution));
        story.returns(0, 3, 20).returns(1, 10, 25)
    };
    second(1).is_right();
    second(0).breaks("G9");
}

#[test]
fn g10_a_dying_flight_takes_no_callers() {
    let story = Story::under(OnAbandon::Abort).left(0, 5).work(0, 3, 8, Ending::Dropped);
    story.is_right();
    story.answered(6, 10, Answer::Aborted).breaks("G10");
}

#[test]
fn g10_abandoned_work_ends_as_it_is_to() {
    let abandoned = |on_abandon| Story::under(on_abandon).left(0, 5).work(0, 3, 8, Ending::Dropped);
    abandoned(OnAbandon::Abort).is_right();
    abandoned(OnAbandon::Finish).breaks("G10");
}

#[test]
fn g10_a_flight_does_not_go_before_its_work() {
    let story =
        |quiet| Story::new().left(0, 5).returns(0, 3, 20).with(|history| history.quiet = Quiet::Since(at(quiet)));
    story(21).is_right();
    story(19).breaks("G10");
}

#[test]
fn g10_no_flight_remains_without_a_caller() {
    let story = |quiet| Story::under(OnAbandon::Abort).left(0, 5).with(|history| history.quiet = quiet);
    story(Quiet::Since(at(10))).is_right();
    story(Quiet::Never).breaks("G10");
}

#[test]
fn g11_a_flight_does_not_expire_before_its_time() {
    let expires = |end| {
        let after = Duration::from_secs(1);
        Story::new().deadline(1_000, OnExpiry::Fail).answered(0, end, Answer::TimedOut(after)).work(
            0,
            3,
            end - 1,
            Ending::Dropped,
        )
    };
    expires(1_001).is_right();
    expires(500).breaks("G11");
    expires(500).with(|history| history.stall = Duration::from_millis(150)).is_right();
    expires(1_001).with(|history| history.rules.on_expiry = OnExpiry::Detach).breaks("G11");
}

#[test]
fn g11_a_late_result_reaches_no_caller() {
    let after = Duration::from_secs(1);
    let story = Story::new().deadline(1_000, OnExpiry::Fail).answered(0, 1_001, Answer::TimedOut(after));
    let story = story.returns(0, 3, 1_100);
    story.is_right();
    story.answered(900, 1_200, value(0)).breaks("G11");
}

#[test]
fn g11_a_flight_that_is_known_to_have_expired_takes_no_callers() {
    let second = |begin| {
        let story = Story::new().deadline(1_000, OnExpiry::Detach).answered(0, 2_000, value(0));
        story.answered(begin, 2_001, value(0)).returns(0, 3, 1_900).asks(1_100, 1_110, 1)
    };
    second(900).is_right();
    second(1_111).breaks("G11");
}

#[test]
fn g12_only_work_that_closes_a_cycle_is_refused() {
    let nested = |begin, answer: Answer| {
        let story = Story::new().answered(0, 30, value(0)).answered(begin, begin + 5, answer).returns(0, 3, 28);
        story.with(|history| history.calls[1].inside = Some(0))
    };
    nested(10, Answer::Reentrant).is_right();
    nested(10, Answer::Reentrant).with(|history| history.calls[1].inside = None).breaks("G12");
    nested(10, Answer::Reentrant).with(|history| history.calls[1].key = 1).breaks("G12");
}
