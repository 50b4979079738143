//! A load that a loader of the same batcher makes. Its batch ends only after it, so the collector has to know of it: for what the load
//! waits for may itself wait for the batch's end.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use super::port::{Message, Port};
use crate::{error::JoinError, sync::AtomicWaker, unwind::drop_contained};

pub(super) struct Inner<K, T, E> {
    port: Arc<Port<K, T, E>>,
    load: u64,
    refusal: Arc<Refusal>,
}

/// How the load is told that it could wait for ever.
pub(super) struct Refusal {
    is_refused: AtomicBool,
    waker: AtomicWaker,
}

impl Refusal {
    /// The waker comes back: it is user code.
    #[must_use = "the load hears of it by this"]
    pub(super) fn refuse(&self) -> Option<Waker> {
        // Relaxed: the waker orders it.
        self.is_refused.store(true, Ordering::Relaxed);
        self.waker.take()
    }

    fn is_refused(&self, cx: &Context<'_>) -> bool {
        self.waker.register(cx.waker());
        self.is_refused.load(Ordering::Relaxed)
    }
}

impl<K, T, E> Inner<K, T, E> {
    /// Of a load that begins now, by the loader of this batch.
    pub(super) fn begin(port: Arc<Port<K, T, E>>, batch: u64) -> Self {
        static LOADS: AtomicU64 = AtomicU64::new(0);
        let load = LOADS.fetch_add(1, Ordering::Relaxed);
        let refusal = Arc::new(Refusal { is_refused: AtomicBool::new(false), waker: AtomicWaker::new() });
        port.channel().send(Message::InnerBegan { batch, load, refusal: Arc::clone(&refusal) });
        Self { port, load, refusal }
    }

    /// What the join ends with, or `Reentrant`.
    pub(super) async fn or_refused<V>(
        self,
        join: &mut (impl Future<Output = Result<V, JoinError>> + Unpin),
    ) -> Result<V, JoinError> {
        poll_fn(|cx| match Pin::new(&mut *join).poll(cx) {
            Poll::Pending if self.refusal.is_refused(cx) => Poll::Ready(Err(JoinError::Reentrant)),
            polled => polled,
        })
        .await
    }
}

impl<K, T, E> Drop for Inner<K, T, E> {
    fn drop(&mut self) {
        // Here, and not where the dispatcher drops its share.
        drop_contained(self.refusal.waker.take());
        self.port.channel().send(Message::InnerEnded(self.load));
    }
}
