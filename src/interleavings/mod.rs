//! Interleavings of the real protocol: callers, shards and running work under [Shuttle](https://docs.rs/shuttle), which
//! decides at every step which task is next.
//!
//! What runs here is what runs everywhere: the builder, handles, join futures, the engine's turns and queues, the actors'
//! executors, works and guards, and above them the cache. Only what they are built on is replaced ([`sync`](crate::sync)): cells, queues, replies and
//! atomics that let other tasks act before each of their operations, Shuttle's tasks, a clock that a scenario moves, and in
//! place of each kameo actor a task that drives the same executor. Some bounds are smaller, so that few tasks reach them.
//!
//! A scenario is a function. It fails if a caller waits for ever (no task can go on: Shuttle calls it a deadlock), if one
//! gets an answer that it must not get, or if at the end something is left over. What holds for all of them is judged by
//! [`Fixture::finish`](fixture::Fixture::finish).
//!
//! ```text
//! cargo xtask interleavings
//! cargo xtask interleavings --exhaustive
//! ```
//!
//! The first runs each scenario under random schedules, under random ones with few switches, in which most messages find
//! their shard in its cell, and under probabilistic concurrency testing (tasks by priority, and few preemptions, at chosen
//! places); `SHARDFLIGHT_SCHEDULES` says how many schedules there are in all. The second runs every interleaving of the
//! smallest scenario.
//!
//! A failure prints its schedule, as a string of digits. To run it again, and it alone, name its test and set
//! `SHARDFLIGHT_REPLAY` to the schedule.

mod admission;
mod cached;
mod deadlines;
mod departures;
mod exhaustive;
mod explore;
mod fixture;
mod fresh;
mod futures;
mod history;
mod in_place;
mod invalidations;
mod limits;
mod overlaps;
mod queueing;
mod shutdown;
mod takeovers;
mod wakers;
mod work;

/// The scenarios, each a test of its own.
macro_rules! scenarios {
    ($($room:ident { $($scenario:ident,)* })*) => {
        const SCENARIOS: usize = [$($(stringify!($scenario),)*)*].len();

        $($(
            #[test]
            fn $scenario() {
                explore::explore(stringify!($scenario), $room::$scenario);
            }
        )*)*
    };
}

scenarios! {
    queueing {
        a_join_is_answered_whether_its_shard_is_in_or_out,
        no_message_is_left_in_the_queue,
        more_messages_than_turns_handle_are_handled_by_the_actor,
        a_question_comes_after_what_was_sent_before_it,
        a_departed_caller_is_not_counted_by_a_later_question,
        no_result_is_given_to_a_later_join,
        questions_to_all_shards_are_answered_beside_joins,
    }
    departures {
        a_leader_that_leaves_at_once_leaves_its_follower_the_result,
        a_leader_that_is_never_polled_again_stalls_no_follower,
        a_departure_beside_the_completion_costs_the_others_nothing,
        no_caller_joins_an_aborted_flight,
        abandoned_work_is_dropped_wherever_it_is,
        a_departure_counts_for_its_own_key_where_hashes_are_equal,
        a_departure_frees_its_slot_at_once,
        a_caller_whose_wait_times_out_leaves_alone,
        a_queued_caller_may_leave_at_any_time,
        the_last_queued_caller_may_leave_at_any_time,
    }
    wakers {
        a_caller_that_moves_to_another_task_is_woken_there,
        a_caller_that_moves_beside_the_completion_is_woken,
        a_follower_that_moves_beside_the_completion_is_woken,
        polls_for_no_reason_change_nothing,
    }
    in_place {
        a_follower_joins_at_any_time,
        a_follower_joins_beside_the_leaders_completion,
        a_leader_in_place_that_is_never_polled_again_stalls_no_follower,
        a_leader_in_place_that_is_polled_once_stalls_no_follower,
        a_leader_in_place_is_woken_in_the_task_that_it_moves_to,
        a_leader_in_place_leaves_beside_a_followers_join,
        no_follower_joins_in_place_work_that_is_aborted,
        abandoned_in_place_work_goes_on_as_a_task,
        abandoned_in_place_work_is_dropped_wherever_it_is,
        in_place_work_expires_while_it_is_polled,
        expired_in_place_work_is_dropped_wherever_it_is,
        expired_in_place_work_of_a_leader_that_is_polled_once_is_dropped,
        a_shutdown_cuts_in_place_work,
        a_panic_of_in_place_work_reaches_its_flights_callers,
        a_forgotten_flight_in_place_ends_beside_the_new_one,
        in_place_work_that_joins_its_own_key_is_told,
    }
    deadlines {
        a_join_after_a_forget_starts_anew_while_the_old_flight_ends,
        a_forget_comes_after_the_joins_that_were_sent_before_it,
        a_flight_that_ends_as_its_time_is_up_answers_once,
        a_flight_without_traffic_expires_in_time,
        an_expired_flight_keeps_no_later_caller,
        a_flight_that_expiry_detaches_still_answers_its_callers,
    }
    fresh {
        fresh_callers_share_the_next_flight_whenever_they_come,
        the_leader_of_a_flight_that_waits_may_leave_at_any_time,
        the_leader_of_a_flight_that_waits_may_leave_work_that_is_polled_in_place,
        the_last_caller_of_a_flight_that_waits_may_leave_at_any_time,
        callers_that_come_and_go_never_overlap,
        a_flight_that_waits_for_an_expired_one_begins,
    }
    work {
        a_panic_reaches_its_flights_callers_and_no_others,
        flights_of_two_shards_that_wait_for_each_other_are_told,
        flights_of_one_shard_that_wait_for_each_other_are_told,
        three_flights_that_wait_in_a_cycle_are_told,
        work_that_joins_its_own_key_is_told,
        two_shards_never_start_a_flight_too_many,
    }
    limits {
        no_flight_is_lost_where_several_end_at_once,
    }
    admission {
        no_more_executions_run_than_may,
        a_permit_that_is_given_back_beside_an_arrival_is_not_lost,
        the_last_caller_leaves_beside_its_flights_grant,
        the_last_caller_leaves_and_aborts_beside_its_flights_grant,
        what_was_abandoned_before_its_grant_never_begins,
        a_flight_is_raised_whatever_happens_beside,
        a_flight_is_lowered_whatever_happens_beside,
        a_raise_beside_the_grant_changes_no_answer,
        work_that_joins_under_the_only_permit_lends_it,
        work_that_stops_waiting_leaves_its_permit_to_the_borrower,
        a_full_queue_refuses_and_loses_none,
        a_wait_in_the_queue_times_out_beside_its_grant,
        a_runtime_that_shuts_down_answers_those_that_wait_to_begin,
    }
    shutdown {
        a_join_beside_a_shutdown_is_served_or_refused,
        a_shutdown_without_a_deadline_cuts_no_flight,
        the_earlier_of_two_shutdowns_cuts_what_does_not_end,
        callers_outlive_the_last_handle,
        shards_stop_beside_work_that_no_caller_awaits,
        the_last_handle_may_go_beside_a_queued_message,
        a_runtime_that_shuts_down_answers_every_caller,
        a_shard_whose_actor_is_dropped_answers_every_caller,
        a_closed_shard_answers_whatever_comes_at_once,
        work_that_the_runtime_drops_is_an_answer,
    }
    takeovers {
        two_executions_end_at_once,
        a_follower_that_comes_beside_the_time_takes_over,
        work_that_is_left_beside_the_end_is_not_kept,
        a_flight_that_is_aborted_beside_its_takeover_ends_with_both,
        executions_that_the_runtime_drops_are_an_answer,
        takeovers_beside_a_queue_keep_to_the_limit,
    }
    invalidations {
        a_miss_shares_no_load_of_before_an_invalidation,
        no_load_between_the_steps_of_an_invalidation_finds_the_old_entry,
        no_load_between_the_steps_of_an_invalidation_of_all_finds_the_old_entry,
        no_load_between_the_steps_of_an_insert_finds_the_old_entry,
        a_miss_shares_no_load_whose_tag_was_invalidated,
        a_miss_shares_no_load_of_before_an_insert,
        a_miss_shares_no_load_of_before_an_expiry,
        an_invalidation_of_all_holds_for_every_load,
        no_refresh_brings_back_what_was_invalidated,
        no_refresh_of_before_an_insert_is_kept,
        no_refresh_whose_tag_was_invalidated_is_kept,
        what_was_invalidated_is_no_fallback_for_a_failed_load,
        what_lost_its_tag_is_no_fallback_for_a_failed_load,
        an_expiry_holds_for_a_load_that_replaces,
        what_was_invalidated_is_no_fallback_for_a_slow_load,
        no_refresh_of_an_evicted_entry_brings_it_back,
        an_abandoned_load_leaves_its_place_to_the_next,
    }
    overlaps {
        a_refresh_shares_no_load_of_before_an_invalidation,
        a_refresh_shares_no_load_whose_tag_was_invalidated,
        a_refresh_shares_no_load_of_before_an_insert,
        what_was_invalidated_is_no_fallback_for_a_reader_that_waits_no_longer,
        what_lost_its_tag_is_no_fallback_for_a_reader_that_waits_no_longer,
        a_load_that_was_passed_over_is_not_kept_after_an_invalidation,
        a_load_that_was_passed_over_is_not_kept_after_an_expiry,
        loads_that_are_not_coalesced_are_not_kept_after_an_invalidation,
        loads_that_are_not_coalesced_are_not_kept_after_an_invalidation_of_all,
        an_invalidation_holds_in_every_domain,
        an_invalidation_by_tag_holds_in_every_domain,
        an_insert_holds_in_every_domain,
    }
}
