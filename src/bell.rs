//! Knowing that a mailbox was the one to wake a task, without asking it each time.

use std::{
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Wake, Waker},
};

use crate::host::AtomicBool;

/// Stands between a source of events that is rarely ready and a task that is woken very often: the source is polled
/// only if it has rung since it was last found empty.
#[derive(Default)]
pub(crate) struct Bell {
    /// `None` before the first poll.
    hung: Option<Hung>,
}

struct Hung {
    clapper: Arc<Clapper>,
    /// The clapper, as the source sees it.
    rope: Waker,
}

struct Clapper {
    rung: AtomicBool,
    /// Kept, not handed out at the first ring: a ring goes on to the task a moment after it was heard, when the task may
    /// have found the source empty again and expects to be woken by the next.
    task: Waker,
}

impl Wake for Clapper {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::SeqCst);
        self.task.wake_by_ref();
    }
}

impl Hung {
    fn for_task(task: &Waker) -> Self {
        let clapper = Arc::new(Clapper { rung: AtomicBool::new(true), task: task.clone() });
        Self { rope: Waker::from(Arc::clone(&clapper)), clapper }
    }
}

impl Bell {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Polls the source if it has rung, and as long as it is ready each time.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        source: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        // Another task's bell may ring on: the source is asked at once, and has the new rope from then on.
        self.hung.take_if(|hung| !hung.clapper.task.will_wake(cx.waker()));
        let Hung { clapper, rope } = self.hung.get_or_insert_with(|| Hung::for_task(cx.waker()));
        if !clapper.rung.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        // Down before the source is asked: a ring beside the asking is heard at the next poll, which it brings about.
        clapper.rung.store(false, Ordering::SeqCst);
        let polled = source(&mut Context::from_waker(rope));
        if polled.is_ready() {
            // There may be more, and the source need not ring for it.
            clapper.rung.store(true, Ordering::SeqCst);
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
    fn another_task_has_the_source_asked_at_once_and_gets_the_rings_from_then_on() {
        #[derive(Default)]
        struct Woken(std::sync::atomic::AtomicBool);
        impl Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let (mut bell, other) = (Bell::new(), Arc::new(Woken::default()));
        assert!(poll(&mut bell, Waker::noop(), false).0);
        let (asked, rope) = poll(&mut bell, &Arc::clone(&other).into(), false);
        assert!(asked);
        rope.unwrap().wake();
        assert!(other.0.load(Ordering::SeqCst));
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
