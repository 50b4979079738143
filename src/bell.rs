//! Knowing that a mailbox was the one to wake a task, without asking it each time.

use std::{
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Wake, Waker},
};

use crate::host::{AtomicBool, AtomicWaker};

/// Stands between a source of events that is rarely ready and a task that is woken very often: the source is polled
/// only if it has rung since it was last found empty.
pub(crate) struct Bell {
    clapper: Arc<Clapper>,
    /// The clapper, as the source sees it.
    rope: Waker,
    /// Whom the clapper wakes: as long as that stays the same, it needn't be told.
    task: Option<Waker>,
}

struct Clapper {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Clapper {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::SeqCst);
        self.task.wake();
    }
}

impl Bell {
    pub(crate) fn new() -> Self {
        let clapper = Arc::new(Clapper { rung: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { rope: Waker::from(Arc::clone(&clapper)), clapper, task: None }
    }

    /// Polls the source if it has rung, and as long as it is ready each time.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        source: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if !self.clapper.rung.load(Ordering::SeqCst)
            && self.task.as_ref().is_some_and(|task| task.will_wake(cx.waker()))
        {
            return Poll::Pending;
        }
        self.clapper.task.register(cx.waker());
        self.task = Some(cx.waker().clone());
        // Down before the source is asked: a ring beside the asking is heard at the next poll, which it brings about.
        self.clapper.rung.store(false, Ordering::SeqCst);
        let polled = source(&mut Context::from_waker(&self.rope));
        if polled.is_ready() {
            // There may be more, and the source need not ring for it.
            self.clapper.rung.store(true, Ordering::SeqCst);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(bell: &mut Bell, waker: &Waker, ready: bool) -> (bool, Option<Waker>) {
        let mut rope = None;
        let _ = bell.poll(&mut Context::from_waker(waker), |cx| {
            rope = Some(cx.waker().clone());
            if ready { Poll::Ready(()) } else { Poll::Pending }
        });
        (rope.is_some(), rope)
    }

    #[test]
    fn a_source_is_asked_at_first_and_then_only_when_it_has_rung() {
        let (mut bell, waker) = (Bell::new(), Waker::noop().clone());
        let (asked, rope) = poll(&mut bell, &waker, false);
        assert!(asked);
        assert!(!poll(&mut bell, &waker, false).0);
        rope.unwrap().wake();
        assert!(poll(&mut bell, &waker, false).0);
        assert!(!poll(&mut bell, &waker, false).0);
    }

    #[test]
    fn a_source_that_was_ready_is_asked_again() {
        let (mut bell, waker) = (Bell::new(), Waker::noop().clone());
        assert!(poll(&mut bell, &waker, true).0);
        assert!(poll(&mut bell, &waker, false).0);
        assert!(!poll(&mut bell, &waker, false).0);
    }

    #[test]
    fn every_ring_wakes_the_task() {
        struct Count(std::sync::atomic::AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let count = Arc::new(Count(0.into()));
        let (mut bell, waker) = (Bell::new(), Waker::from(Arc::clone(&count)));
        for rings in 1..4 {
            let (_, rope) = poll(&mut bell, &waker, false);
            rope.unwrap().wake();
            assert_eq!(count.0.load(Ordering::SeqCst), rings);
        }
    }
}
