//! Waits for the moment when a flight may be taken over, and for the work of a follower that can.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::Duration,
};

use super::takeover::Attempts;
use crate::{
    engine::{Key, ParkedWork, Spares, Value},
    sync::{Sleep, clock, now},
    unwind::drop_contained,
};

/// The flight is over or aborted, or no timer is to be had.
struct Stopped;

/// What followers have left is dropped when no execution of it will begin.
struct ClearedAtEnd<V>(Arc<Spares<V>>);

impl<V> Drop for ClearedAtEnd<V> {
    fn drop(&mut self) {
        self.0.clear();
    }
}

/// The task beside a flight's executions that begins all but the first. It keeps neither the flight nor its value.
pub(super) async fn watch<K: Key, V: Value>(attempts: Weak<Attempts<K, V>>, spares: Arc<Spares<V>>) {
    let spares = ClearedAtEnd(spares);
    // Nothing is left to say: the flight ends without it.
    let _ = begin_all(&attempts, &spares.0).await;
}

async fn begin_all<K: Key, V: Value>(attempts: &Weak<Attempts<K, V>>, spares: &Spares<V>) -> Result<(), Stopped> {
    let (after, passed) = {
        let attempts = attempts.upgrade().ok_or(Stopped)?;
        (attempts.engine.takeover_after.ok_or(Stopped)?, now().saturating_duration_since(attempts.began()))
    };
    let mut wait = after.saturating_sub(passed);
    let mut place = 0;
    while place < spares.at_most() {
        pass(spares, wait).await?;
        wait = after;
        let work = poll_fn(|cx| poll_spare(spares, place, cx)).await?;
        let Some(attempts) = attempts.upgrade() else {
            drop_contained(work);
            return Err(Stopped);
        };
        if !attempts.may_start_another(place + 1) {
            drop_contained(spares.leave(place, work));
            continue;
        }
        place += 1;
        if !attempts.start(place, work) {
            return Err(Stopped);
        }
    }
    Ok(())
}

/// Lets time pass.
async fn pass<V>(spares: &Spares<V>, duration: Duration) -> Result<(), Stopped> {
    let mut sleep: Pin<Box<Sleep>> = Box::pin(clock::sleep_here(duration).ok_or(Stopped)?);
    poll_fn(|cx| {
        if spares.register(spares.watcher(), cx.waker()) {
            return Poll::Ready(Err(Stopped));
        }
        sleep.as_mut().poll(cx).map(|()| Ok(()))
    })
    .await
}

/// The work of the first follower that has left some.
fn poll_spare<V>(spares: &Spares<V>, place: usize, cx: &mut Context<'_>) -> Poll<Result<ParkedWork<V>, Stopped>> {
    if spares.register(spares.watcher(), cx.waker()) {
        return Poll::Ready(Err(Stopped));
    }
    spares.claim(place).map_or(Poll::Pending, |work| Poll::Ready(Ok(work)))
}
