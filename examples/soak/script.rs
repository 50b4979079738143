//! The callers' actions.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures::future::join_all;
use shardflight::JoinError;
use tokio::{task::yield_now, time::timeout};

use crate::{
    answer::{Answer, Tally},
    fleet::{Fleet, Flights},
    payload::Answered,
    work::{HOT_KEYS, Work},
};

static UNIQUE: AtomicU64 = AtomicU64::new(HOT_KEYS);

/// Callers in an occasional burst.
const BURST: usize = 40;

/// A hot key that other callers may use, or a new one.
pub(crate) fn any_key(random: &mut fastrand::Rng) -> u64 {
    if random.u32(0..3) == 0 { UNIQUE.fetch_add(1, Ordering::Relaxed) } else { random.u64(0..HOT_KEYS) }
}

fn join(handle: &Flights, random: &mut fastrand::Rng) -> impl Future<Output = Result<Answered, JoinError>> + use<> {
    let (work, for_work) = (Work::any(random), handle.clone());
    handle.join(any_key(random), move || work.run(for_work))
}

/// One random action, until the caller is answered or has left.
pub(crate) async fn call(fleet: &Fleet, random: &mut fastrand::Rng, tally: &Tally) {
    let handle = fleet.any(random);
    match random.u32(0..1_000) {
        0..550 => tally.count(Answer::of(&join(handle, random).await)),
        550..650 => {
            let (work, for_work) = (Work::any(random), handle.clone());
            tally.count(Answer::of_tried(&handle.try_join(any_key(random), move || work.run(for_work)).await));
        }
        650..750 => {
            // A limit of zero still polls once.
            let limit = Duration::from_millis(random.u64(0..4));
            tally.count(leave_after(limit, join(handle, random)).await);
        }
        750..850 => {
            let impatient = handle.with_max_wait(Duration::from_millis(random.u64(0..4)));
            tally.count(Answer::of(&join(&impatient, random).await));
        }
        850..920 => {
            let caller = tokio::spawn(join(handle, random));
            for _ in 0..random.u32(0..4) {
                yield_now().await;
            }
            caller.abort();
            tally.count(caller.await.map_or(Answer::Left, |result| Answer::of(&result)));
        }
        920..997 => drop(handle.forget(any_key(random)).await),
        997..999 => burst(handle, random, tally).await,
        _ => drop(handle.forget_all().await),
    }
}

/// Many concurrent callers of one key, half of which leave.
async fn burst(handle: &Flights, random: &mut fastrand::Rng, tally: &Tally) {
    let key = any_key(random);
    let members: Vec<_> = (0..BURST)
        .map(|member| {
            let (work, for_work) = (Work::any(random), handle.clone());
            let limit = Duration::from_millis(if member % 2 == 0 { 1 } else { 10_000 });
            leave_after(limit, handle.join(key, move || work.run(for_work)))
        })
        .collect();
    join_all(members).await.into_iter().for_each(|answer| tally.count(answer));
}

pub(crate) async fn leave_after(limit: Duration, join: impl Future<Output = Result<Answered, JoinError>>) -> Answer {
    timeout(limit, join).await.map_or(Answer::Left, |result| Answer::of(&result))
}
