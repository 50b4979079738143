//! Nodes, a network and a server in one thread and on a clock of their own, around the very lease logic that services run.
//!
//! A schedule is made of a seed: calls, work of any length, delays, and, unless it is calm, pauses, partitions, cut connections, steps of
//! the server's clock, restarts and flushes, forgets and drops. A judge with books of its own looks at each step. Of the server there is a
//! model here, which `conformance` compares with Redis and the scripts, reply by reply.

mod conformance;
mod judge;
mod net;
mod node;
mod schedule;
pub(crate) mod server;
mod world;

use std::env;

use self::{schedule::Schedule, server::Planted, world::World};

/// In the ordinary test run, which is not optimised. `cargo xtask simulation` runs 100,000.
const SCHEDULES: u64 = 2_000;

fn schedules() -> u64 {
    env::var("SHARDFLIGHT_SCHEDULES").ok().and_then(|number| number.parse().ok()).unwrap_or(SCHEDULES)
}

fn run(seed: u64, planted: Planted) -> Result<world::Seen, String> {
    World::new(Schedule::of(seed), planted).run()
}

/// The first schedule that a bug breaks, if any does.
fn first_broken(planted: Planted) -> Option<(u64, String)> {
    (0..schedules()).find_map(|seed| Some((seed, run(seed, planted).err()?)))
}

#[test]
fn every_schedule_keeps_the_rules() {
    let mut sum = world::Seen::default();
    for seed in 0..schedules() {
        match run(seed, Planted::Nothing) {
            Ok(seen) => sum += seen,
            Err(broken) => panic!("seed {seed}: {broken}"),
        }
    }
    println!("{} schedules: {sum:?}", schedules());
    // What never happens is not tested.
    assert!(sum.led > 0 && sum.followed > 0 && sum.takeovers > 0 && sum.fenced_out > 0 && sum.alone > 0);
    assert!(sum.renewals > 0 && sum.late > 0 && sum.detached > 0 && sum.stored > 0 && sum.strict > 0 && sum.calm > 0);
}

#[test]
fn a_stall_of_half_a_lease_costs_no_leader_its_lease() {
    for seed in 0..schedules() {
        match World::new(Schedule::of_stalls(seed), Planted::Nothing).run() {
            Ok(seen) => assert_eq!((seen.takeovers, seen.fenced_out), (0, 0), "seed {seed}: {seen:?}"),
            Err(broken) => panic!("seed {seed}: {broken}"),
        }
    }
}

fn assert_found(planted: Planted, by: &str) {
    let (seed, broken) = first_broken(planted).unwrap_or_else(|| panic!("{planted:?} went unnoticed"));
    println!("{planted:?} by seed {seed}: {broken}");
    assert!(broken.contains(by), "{planted:?} was found by seed {seed}, but by this: {broken}");
}

#[test]
fn finds_a_token_of_the_node_rather_than_of_the_flight() {
    assert_found(Planted::TokenOfNode, "led twice");
}

#[test]
fn finds_a_result_that_later_joiners_can_read() {
    assert_found(Planted::ResultForAll, "published before it began");
}

#[test]
fn finds_a_heartbeat_that_outlives_its_flight() {
    assert_found(Planted::EndlessHeartbeat, "renewed after its flight");
}

#[test]
fn finds_a_release_that_does_not_look_at_the_token() {
    assert_found(Planted::BlindRelease, "beside a live one");
}
