//! Callers on plain threads, and coalescers that come and go.

use std::time::Duration;

use futures::future::join_all;
use shardflight::{Coalescer, OnAbandon};
use tokio::time::sleep;

use crate::{
    Fallible,
    answer::{Answer, Tally},
    fleet::{DEADLINE, Fleet},
    payload::{Failure, Payload},
    script::{any_key, leave_after},
    work::Work,
};

const CALLERS: usize = 20;

/// A call from a plain thread.
pub(crate) fn blocking_call(fleet: &Fleet, random: &mut fastrand::Rng, tally: &Tally) {
    let (fails, size) = (random.u32(0..8) == 0, random.usize(1..1_000));
    let nap = Duration::from_micros(random.u64(0..2_000));
    let work = move || {
        std::thread::sleep(nap);
        if fails { Err(Failure::Itself) } else { Ok(Payload::new(size)) }
    };
    tally.count(Answer::of(&fleet.any(random).blocking_join(any_key(random), work)));
}

/// Builds a coalescer, joins it, and shuts it down or drops it with flights under way.
pub(crate) async fn short_life(random: &mut fastrand::Rng, tally: &Tally) -> Fallible<()> {
    let on_abandon = if random.bool() { OnAbandon::Finish } else { OnAbandon::Abort };
    let builder = Coalescer::builder().shards(random.usize(1..4)).on_abandon(on_abandon).max_flight_duration(DEADLINE);
    let coalescer = builder.build()?;
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (handle, work) = (coalescer.handle(), Work::any(random));
            let for_work = handle.clone();
            let limit = Duration::from_millis(random.u64(0..50));
            tokio::spawn(leave_after(limit, handle.join(random.u64(0..8), move || work.run(for_work))))
        })
        .collect();
    sleep(Duration::from_millis(random.u64(0..5))).await;
    if random.bool() {
        coalescer.shutdown(Duration::from_millis(random.u64(0..10))).await;
    }
    drop(coalescer);
    for answer in join_all(callers).await {
        tally.count(answer?);
    }
    Ok(())
}
