//! Work that waits for its permit (`max_executions`).

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use pin_project_lite::pin_project;

use super::execution::Execution;
use crate::{
    admission::Stand,
    engine::{Completer, Ending, Key, Value},
    error::JoinError,
    sync::{Sleep, clock, now},
    trace,
    unwind::catch,
};

pin_project! {
    /// The task of a flight whose work has had to wait.
    pub(super) struct Admitted<K: Key, V: Value, W> {
        // `None` once the work has begun.
        permit: Option<PermitWait>,
        #[pin]
        execution: Execution<K, V, W>,
    }
}

impl<K: Key, V: Value, W> Admitted<K, V, W> {
    pub(super) fn new(execution: Execution<K, V, W>) -> Self {
        Self { permit: Some(PermitWait::begin()), execution }
    }
}

impl<K, V, W> Future for Admitted<K, V, W>
where
    K: Key,
    V: Value,
    W: Future<Output = Ending<V>>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if let Some(permit) = this.permit
            && let Some(completer) = this.execution.completer()
        {
            let admitted = ready!(permit.poll(completer, cx));
            *this.permit = None;
            if let Err(error) = admitted {
                return this.execution.refuse(error, cx);
            }
        }
        this.execution.poll(cx)
    }
}

/// A flight's wait in the queue.
pub(super) struct PermitWait {
    since: Instant,
    timer: Option<Timer>,
}

/// `None` where no timer is to be had.
struct Timer(Option<Pin<Box<Sleep>>>);

impl PermitWait {
    fn begin() -> Self {
        Self { since: now(), timer: None }
    }

    pub(super) async fn of<K: Key, V: Value>(completer: &Completer<K, V>) -> Result<(), JoinError> {
        let mut wait = Self::begin();
        poll_fn(|cx| wait.poll(completer, cx)).await
    }

    /// Ready if the work may begin, or if it is to be dropped, as its flight is over; with an error, if it has been given up.
    fn poll<K: Key, V: Value>(
        &mut self,
        completer: &Completer<K, V>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), JoinError>> {
        let (record, engine) = (completer.record(), completer.engine());
        // Registered first: whatever changes after the look below wakes this task.
        if record.register(cx.waker()) {
            return Poll::Ready(Ok(()));
        }
        let Some(admission) = &engine.admission else { return Poll::Ready(Ok(())) };
        let error = match record.ticket().stand() {
            Stand::Granted | Stand::Tracked => {
                record.note_queued(now().saturating_duration_since(self.since));
                return Poll::Ready(Ok(()));
            }
            Stand::Shed => admission.overloaded(),
            Stand::TimedOut => admission.timed_out(),
            Stand::Queued => match self.poll_timer(admission.queue_timeout(), cx) {
                Poll::Ready(()) => match admission.time_out(record) {
                    Some(error) => error,
                    // It has left the queue in another way meanwhile, and is woken for that.
                    None => return Poll::Pending,
                },
                Poll::Pending => return Poll::Pending,
            },
            // It is cut short: the task is woken when it is told so.
            Stand::Unasked | Stand::Cancelled | Stand::Over => return Poll::Pending,
        };
        trace::shed(record.flight().id, record.ticket().class(), error.kind().as_str());
        Poll::Ready(Err(error))
    }

    fn poll_timer(&mut self, limit: Option<std::time::Duration>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(limit) = limit else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Timer(clock::sleep_here(limit).map(Box::pin)));
        match &mut timer.0 {
            // Tokio panics where a runtime's timers are gone.
            Some(sleep) => catch(|| sleep.as_mut().poll(cx)).unwrap_or(Poll::Pending),
            None => Poll::Pending,
        }
    }
}
