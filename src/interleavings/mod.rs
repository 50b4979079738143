//! Interleavings of the real protocol: callers, shards and running work under [Shuttle](https://docs.rs/shuttle), which
//! decides at every step who goes next.
//!
//! What runs here is what runs everywhere: the builder, handles, join futures, lanes, pumps, executions and guards. Only
//! what they stand on is exchanged ([`host`](crate::host)): queues, replies and atomics that stop before each of their
//! operations, tasks of Shuttle's, a clock that a scenario moves, and in place of the kameo actor a task that listens to
//! its mailbox and its pump in the same order.
//!
//! A scenario is a function; it fails if a caller waits for ever (no task can go on: Shuttle calls it a deadlock), if one
//! gets an answer that it must not get, or if at the end something is left over. What holds for all of them is judged by
//! [`Scene::finish`](scene::Scene::finish).
//!
//! ```text
//! cargo test --release -p interleavings interleavings -- --nocapture
//! cargo test --release -p interleavings interleavings -- --nocapture --ignored
//! ```
//!
//! The first runs each scenario under random schedules and under probabilistic concurrency testing (few preemptions, at
//! chosen places); `SHARDFLIGHT_SCHEDULES` says how many schedules there are in all. The second goes through every
//! interleaving of the smallest scenario.
//!
//! A failure prints its schedule, as a string of digits. To run it again, and it alone, name its test and set
//! `SHARDFLIGHT_REPLAY` to the schedule.

mod detaching;
mod ending;
mod every;
mod explore;
mod leaving;
mod record;
mod scene;
mod working;

/// The scenarios, each a test of its own.
macro_rules! scenarios {
    ($($room:ident::$scenario:ident,)*) => {
        const SCENARIOS: usize = [$(stringify!($scenario)),*].len();

        $(
            #[test]
            fn $scenario() {
                explore::explore(stringify!($scenario), $room::$scenario);
            }
        )*
    };
}

scenarios! {
    leaving::a_leader_dropped_right_after_its_join_leaves_its_follower_the_result,
    leaving::a_leader_that_is_never_polled_again_stalls_no_follower,
    leaving::a_departure_beside_the_completion_costs_nobody_else_anything,
    leaving::nobody_joins_a_dying_flight,
    leaving::a_departure_is_about_its_own_key_even_where_hashes_are_equal,
    leaving::a_seat_is_free_for_whoever_joins_after_a_departure,
    leaving::a_caller_out_of_patience_leaves_alone,
    detaching::a_join_after_a_forget_starts_anew_while_the_old_flight_ends,
    detaching::a_flight_that_ends_as_its_time_is_up_answers_once,
    detaching::a_flight_past_its_time_keeps_only_those_aboard,
    detaching::a_detached_flight_past_its_time_still_answers_those_aboard,
    ending::a_join_beside_a_shutdown_is_served_or_refused,
    ending::a_shutdown_that_waits_cuts_no_flight,
    ending::callers_outlive_the_last_handle,
    ending::shards_stop_beside_work_that_nobody_awaits,
    ending::a_runtime_that_goes_away_leaves_nobody_waiting,
    ending::a_shard_that_is_dropped_leaves_nobody_waiting,
    ending::work_that_the_runtime_drops_is_an_answer,
    working::a_panic_reaches_whoever_is_aboard_and_nobody_else,
    working::two_flights_that_wait_for_each_other_are_told,
    working::two_shards_never_start_a_flight_too_many,
    working::a_question_comes_after_what_was_sent_before_it,
}
