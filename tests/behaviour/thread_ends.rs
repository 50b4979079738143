//! Calls from the destructor of a thread-local, where Tokio's own is gone already. A panic there would end the process, so
//! each test is a process of its own.

use std::{
    cell::RefCell,
    future::{pending, ready},
    pin::pin,
    sync::mpsc,
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use futures::executor::block_on;
use shardflight::{Coalescer, Handle, JoinError, RunWork};
use tokio::runtime::Handle as Current;

use crate::support::{
    Count, assert_pending, eventually_blocking, in_a_child_process, inside, one_shard, poll_once, returning,
    two_workers, until,
};

/// Acts when the thread ends.
struct AtEnd(Option<Box<dyn FnOnce()>>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        if let Some(action) = self.0.take() {
            action();
        }
    }
}

thread_local! {
    static AT_END: RefCell<AtEnd> = const { RefCell::new(AtEnd(None)) };
}

/// What `action` returns at the end of a thread, after Tokio's thread-local is gone.
fn at_the_end_of_a_thread<T: Send + 'static>(action: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let ends = move || {
        let is_gone = Current::try_current().is_err_and(|error| error.is_thread_local_destroyed());
        let _ = sender.send((is_gone, action()));
    };
    thread::spawn(move || {
        AT_END.with_borrow_mut(|at_end| at_end.0 = Some(Box::new(ends)));
        // The last to be used is the first to go.
        assert!(Current::try_current().is_err());
    });
    let (is_gone, outcome) = receiver.recv().expect("the destructor returns");
    assert!(is_gone, "or nothing is tested");
    outcome
}

fn poll_at_the_end_of_a_thread<F>(make: impl FnOnce() -> F + Send + 'static) -> Poll<F::Output>
where
    F: Future<Output: Send + 'static>,
{
    at_the_end_of_a_thread(|| pin!(make()).poll(&mut Context::from_waker(Waker::noop())))
}

fn in_a_child(test: &str, body: fn(Handle<u8, u8>)) {
    in_a_child_process(&format!("thread_ends::{test}"), || async move {
        // From now on, Tokio looks for a clock that may be paused.
        tokio::time::pause();
        let runtime = two_workers();
        body(inside(&runtime, one_shard::<u8, u8>));
        runtime.shutdown_background();
    });
}

#[test]
fn a_join_is_pending_and_its_work_runs() {
    in_a_child("a_join_is_pending_and_its_work_runs", |handle| {
        let ran = Count::default();
        for (handle, key) in [(handle.clone(), 1), (handle.with_max_wait(Duration::from_mins(1)), 2)] {
            let runs = ran.clone();
            let join = handle.join(key, move || async move {
                runs.up();
                pending().await
            });
            let (join, polled) = at_the_end_of_a_thread(|| {
                let mut join = join;
                let polled = poll_once(&mut join).is_pending();
                (join, polled)
            });
            assert!(polled);
            eventually_blocking(|| ran.get() == usize::from(key));
            assert!(poll_at_the_end_of_a_thread(|| join).is_pending());
            block_on(until(&handle, |stats| stats.waiters == 0));
        }
    });
}

#[test]
fn a_join_may_be_awaited() {
    in_a_child("a_join_may_be_awaited", |handle| {
        let other = handle.clone();
        assert_eq!(at_the_end_of_a_thread(move || block_on(other.join(1, returning(7)))).unwrap(), 7);
        assert_eq!(at_the_end_of_a_thread(move || handle.blocking_join(2, || 8)).unwrap(), 8);
    });
}

#[test]
fn a_thread_that_gives_up_leaves() {
    in_a_child("a_thread_that_gives_up_leaves", |handle| {
        let mut leader = handle.join(1, pending);
        assert_pending(&mut leader);
        let limit = Duration::from_millis(1);
        let hasty = handle.with_max_wait(limit);
        let answer = at_the_end_of_a_thread(move || hasty.blocking_join(1, || unreachable!("a follower's")));
        assert!(matches!(answer, Err(JoinError::TimedOut { after }) if after == limit));
    });
}

#[test]
fn questions_are_answered() {
    in_a_child("questions_are_answered", |handle| {
        let mut leader = handle.join(1, pending);
        assert_pending(&mut leader);
        let asks = handle.clone();
        assert_eq!(at_the_end_of_a_thread(move || block_on(asks.stats())).unwrap().waiters, 1);
        let asks = handle.clone();
        assert_eq!(at_the_end_of_a_thread(move || block_on(asks.inspect(1))).unwrap().oldest.len(), 1);
        let asks = handle.clone();
        assert!(at_the_end_of_a_thread(move || block_on(asks.forget(1))).unwrap());
        let asks = handle.clone();
        assert_eq!(at_the_end_of_a_thread(move || block_on(asks.forget_all())).unwrap(), 0);
        assert!(at_the_end_of_a_thread(move || block_on(handle.reset_stats())).is_ok());
    });
}

#[test]
fn work_that_its_leader_polls_runs_or_fails() {
    in_a_child("work_that_its_leader_polls_runs_or_fails", |_| {
        let runtime = two_workers();
        let builder = Coalescer::<u8, u8>::builder().run_work(RunWork::InPlace);
        let handle = inside(&runtime, || builder.build().unwrap().handle());
        let asks = handle.clone();
        assert_eq!(at_the_end_of_a_thread(move || block_on(asks.join(1, returning(7)))).unwrap(), 7);
        let spawns = || async { tokio::spawn(ready(7)).await.unwrap() };
        let asks = handle.clone();
        let failed = at_the_end_of_a_thread(move || block_on(asks.join(1, spawns)));
        assert!(matches!(failed, Err(JoinError::Panicked(_))), "{failed:?}");
        let asks = handle.clone();
        assert!(poll_at_the_end_of_a_thread(move || asks.join(1, pending)).is_pending());
        block_on(until(&handle, |stats| stats.waiters == 0));
        runtime.shutdown_background();
    });
}

#[test]
fn a_shutdown_ends() {
    in_a_child("a_shutdown_ends", |_| {
        let runtime = two_workers();
        let coalescer = inside(&runtime, Coalescer::<u8, u8>::new);
        at_the_end_of_a_thread(move || block_on(coalescer.shutdown(Duration::ZERO)));
        runtime.shutdown_background();
    });
}
