//! C1 where loads of one key run beside each other, or where callers don't wait for their ends.

use std::convert::identity;

use shuttle::rand::Rng;

use super::{
    cached::{Configure, Loads, TTL, Write, run},
    fixture::LIMIT,
    invalidations::beside,
};
use crate::{OnExpiry, Scope, Topology};

/// A refresh that was asked for and a reader, beside a write and another refresh, which begins after it.
fn refreshes(configure: impl FnOnce(Configure) -> Configure, write: Write) {
    run(configure, async |cached| {
        cached.keep().await;
        // Then the entry is older than the count that refreshes begin with.
        cached.handle().invalidate_tag("another").await;
        let tasks = [
            cached.refresher(Loads::Succeed),
            cached.reader(Loads::Succeed),
            cached.refreshing_writer(write, Loads::Succeed),
        ];
        for task in tasks {
            task.await.unwrap();
        }
        // What the refreshes have left.
        cached.reader(Loads::Succeed).await.unwrap();
        cached.finish().await;
    });
}

pub(super) fn a_refresh_shares_no_load_of_before_an_invalidation() {
    refreshes(identity, Write::Invalidate);
}

pub(super) fn a_refresh_shares_no_load_whose_tag_was_invalidated() {
    refreshes(identity, Write::InvalidateTag);
}

pub(super) fn a_refresh_shares_no_load_of_before_an_insert() {
    refreshes(identity, Write::Insert);
}

/// Readers of an expired value, of which one waits only for so long.
fn impatient(write: Write) {
    run(
        |cache| cache.stale_if_error(TTL),
        async |cached| {
            cached.keep().await;
            cached.runtime.advance(TTL);
            let tasks = vec![
                cached.impatient_reader(LIMIT, Loads::MayFail),
                cached.reader(Loads::MayFail),
                cached.clock(LIMIT),
            ];
            beside(cached, tasks, write, Loads::MayFail).await;
        },
    );
}

pub(super) fn what_was_invalidated_is_no_fallback_for_a_reader_that_waits_no_longer() {
    impatient(Write::Invalidate);
}

pub(super) fn what_lost_its_tag_is_no_fallback_for_a_reader_that_waits_no_longer() {
    impatient(Write::InvalidateTag);
}

/// Readers that find nothing, beside a write and time that passes.
fn overlapping(configure: impl FnOnce(Configure) -> Configure, write: Write) {
    run(configure, async |cached| {
        let mut tasks: Vec<_> = [(); 3].map(|()| cached.reader(Loads::Succeed)).into();
        tasks.push(cached.clock(LIMIT));
        beside(cached, tasks, write, Loads::Succeed).await;
    });
}

fn passed_over(cache: Configure) -> Configure {
    cache.coalescer(|flights| flights.max_flight_duration(LIMIT).on_expiry(OnExpiry::Detach))
}

pub(super) fn a_load_that_was_passed_over_is_not_kept_after_an_invalidation() {
    overlapping(passed_over, Write::Invalidate);
}

pub(super) fn a_load_that_was_passed_over_is_not_kept_after_an_expiry() {
    overlapping(passed_over, Write::Expire);
}

fn not_coalesced(cache: Configure) -> Configure {
    cache.coalescer(|flights| flights.rollout(0.0))
}

pub(super) fn loads_that_are_not_coalesced_are_not_kept_after_an_invalidation() {
    overlapping(not_coalesced, Write::Invalidate);
}

pub(super) fn loads_that_are_not_coalesced_are_not_kept_after_an_invalidation_of_all() {
    overlapping(not_coalesced, Write::InvalidateAll);
}

/// Two cores, of which each caller is on one by chance.
struct TwoCores;

impl Topology for TwoCores {
    fn nodes(&self) -> Result<Vec<usize>, String> {
        Ok(vec![0, 0])
    }

    fn current_core(&self) -> Option<usize> {
        Some(shuttle::rand::thread_rng().gen_range(0..2))
    }
}

fn on_two_cores(cache: Configure) -> Configure {
    cache.coalescer(|flights| flights.scope(Scope::PerCore).topology(TwoCores))
}

pub(super) fn an_invalidation_holds_in_every_domain() {
    overlapping(on_two_cores, Write::Invalidate);
}

pub(super) fn an_invalidation_by_tag_holds_in_every_domain() {
    overlapping(on_two_cores, Write::InvalidateTag);
}

pub(super) fn an_insert_holds_in_every_domain() {
    overlapping(on_two_cores, Write::Insert);
}
