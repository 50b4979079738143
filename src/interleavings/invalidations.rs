//! C1: reads that begin after a write has returned, beside loads, refreshes and evictions that began before it.

use std::{convert::identity, time::Duration};

use shuttle::future::{JoinHandle, spawn};

use super::{
    cached::{Cached, Configure, Loads, TTL, Write, run},
    fixture::{ELSEWHERE, KEY, NEIGHBOUR, TWIN},
    futures::begun_beside,
};
use crate::OnAbandon;

/// How long readers wait for a load where something stale may be served.
const SOFT: Duration = Duration::from_secs(1);

/// What is rare is tried repeatedly.
const ROUNDS: usize = 3;

/// Readers that find nothing, beside a write.
fn misses(write: Write) {
    run(identity, async |cached| {
        let readers = vec![cached.reader(Loads::Succeed), cached.reader(Loads::Succeed)];
        beside(cached, readers, write, Loads::Succeed).await;
    });
}

/// Readers that find an entry of this age, beside a write.
fn hits(configure: impl FnOnce(Configure) -> Configure, age: Duration, write: Write, loads: Loads) {
    run(configure, async |cached| {
        cached.keep().await;
        // Then the entry is older than the count that readers begin with.
        cached.handle().invalidate_tag("another").await;
        cached.runtime.advance(age);
        let readers = vec![cached.reader(loads), cached.reader(loads)];
        beside(cached, readers, write, loads).await;
    });
}

/// A write beside these tasks.
pub(super) async fn beside(cached: Cached, mut tasks: Vec<JoinHandle<()>>, write: Write, loads: Loads) {
    tasks.push(cached.writer(write, loads));
    for task in tasks {
        task.await.unwrap();
    }
    cached.finish().await;
}

pub(super) fn a_miss_shares_no_load_of_before_an_invalidation() {
    misses(Write::Invalidate);
}

/// Readers that have missed the key, of which one starts a load when it has been filled.
fn between_the_steps(write: Write) {
    run(identity, async |cached| {
        for _ in 0..ROUNDS {
            cached.handle().invalidate(KEY).await;
            let readers = [(); 3].map(|()| cached.reader(Loads::Succeed));
            for task in readers.into_iter().chain([cached.filler(write)]) {
                task.await.unwrap();
            }
        }
        cached.finish().await;
    });
}

pub(super) fn no_load_between_the_steps_of_an_invalidation_finds_the_old_entry() {
    between_the_steps(Write::Invalidate);
}

pub(super) fn no_load_between_the_steps_of_an_invalidation_of_all_finds_the_old_entry() {
    between_the_steps(Write::InvalidateAll);
}

pub(super) fn no_load_between_the_steps_of_an_insert_finds_the_old_entry() {
    between_the_steps(Write::InsertExpired);
}

pub(super) fn a_miss_shares_no_load_whose_tag_was_invalidated() {
    misses(Write::InvalidateTag);
}

pub(super) fn a_miss_shares_no_load_of_before_an_insert() {
    misses(Write::Insert);
}

pub(super) fn a_miss_shares_no_load_of_before_an_expiry() {
    misses(Write::Expire);
}

pub(super) fn an_invalidation_of_all_holds_for_every_load() {
    run(identity, async |cached| {
        let other = spawn(cached.read(NEIGHBOUR, Loads::Succeed));
        let readers = vec![other, cached.reader(Loads::Succeed), cached.reader(Loads::Succeed)];
        beside(cached, readers, Write::InvalidateAll, Loads::Succeed).await;
    });
}

pub(super) fn no_refresh_brings_back_what_was_invalidated() {
    hits(|cache| cache.stale_while_revalidate(TTL), TTL, Write::Invalidate, Loads::Succeed);
}

pub(super) fn no_refresh_of_before_an_insert_is_kept() {
    hits(|cache| cache.refresh_ahead(0.5), TTL / 2, Write::Insert, Loads::Succeed);
}

pub(super) fn no_refresh_whose_tag_was_invalidated_is_kept() {
    hits(|cache| cache.stale_while_revalidate(TTL), TTL, Write::InvalidateTag, Loads::MayFail);
}

pub(super) fn what_was_invalidated_is_no_fallback_for_a_failed_load() {
    hits(|cache| cache.stale_if_error(TTL), TTL, Write::Invalidate, Loads::MayFail);
}

pub(super) fn what_lost_its_tag_is_no_fallback_for_a_failed_load() {
    hits(|cache| cache.stale_if_error(TTL), TTL, Write::InvalidateTag, Loads::MayFail);
}

pub(super) fn an_expiry_holds_for_a_load_that_replaces() {
    hits(|cache| cache.stale_if_error(TTL), TTL, Write::Expire, Loads::MayFail);
}

pub(super) fn what_was_invalidated_is_no_fallback_for_a_slow_load() {
    run(
        |cache| cache.stale_if_error(TTL).soft_timeout(SOFT),
        async |cached| {
            cached.keep().await;
            cached.runtime.advance(TTL);
            let tasks = vec![cached.reader(Loads::Succeed), cached.clock(SOFT)];
            beside(cached, tasks, Write::Invalidate, Loads::Succeed).await;
        },
    );
}

pub(super) fn no_refresh_of_an_evicted_entry_brings_it_back() {
    run(
        |cache| cache.max_entries(2).refresh_ahead(0.5),
        async |cached| {
            // Of two entries, the later is on probation, and goes first.
            cached.crowd(vec![NEIGHBOUR]).await.unwrap();
            cached.keep().await;
            cached.runtime.advance(TTL / 2);
            let tasks = vec![cached.reader(Loads::Succeed), cached.crowd(vec![TWIN, ELSEWHERE])];
            beside(cached, tasks, Write::Invalidate, Loads::Succeed).await;
        },
    );
}

pub(super) fn an_abandoned_load_leaves_its_place_to_the_next() {
    run(
        |cache| cache.coalescer(|flights| flights.on_abandon(OnAbandon::Abort)),
        async |cached| {
            let leaver = begun_beside(cached.read(KEY, Loads::Succeed));
            let reader = cached.reader(Loads::Succeed);
            drop(leaver.await.unwrap());
            reader.await.unwrap();
            cached.finish().await;
        },
    );
}
