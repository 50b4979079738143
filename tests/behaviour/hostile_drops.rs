//! Two things that panic one after the other (G13). Unwinding from the first must not run the second: a panic in a drop
//! meanwhile ends the process, with all other tests. Hence each test is a process of its own.

use std::{
    hash::{Hash, Hasher},
    pin::Pin,
    task::{Context, Poll},
    thread,
};

use futures::future::{pending, ready};
use shardflight::{Handle, JoinError};
use tokio::runtime::{self, Runtime};

use crate::{
    busy_shard::{BusyShard, SlowKey},
    hostile_wakers::panicking_waker,
    support::{
        Count, Gate, assert_pending, at_rest, eventually, in_a_child_process, inside, one_shard, panic_quietly,
        poll_once, settle, two_workers, until,
    },
};

/// A key, a value, or something that a closure or future holds.
struct DropsBadly(bool);

impl Drop for DropsBadly {
    fn drop(&mut self) {
        if self.0 {
            panic_quietly("in a drop");
        }
    }
}

struct Key(i32, #[expect(dead_code, reason = "it is there to be dropped")] DropsBadly, Vice);

#[derive(PartialEq)]
enum Vice {
    None,
    PanicsInHash,
    PanicsInEq,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, _: &mut H) {
        if self.2 == Vice::PanicsInHash {
            panic_quietly("in a hash");
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        if self.2 == Vice::PanicsInEq || other.2 == Vice::PanicsInEq {
            panic_quietly("in a comparison");
        }
        self.0 == other.0
    }
}

impl Eq for Key {}

fn key(n: i32) -> Key {
    Key(n, DropsBadly(true), Vice::None)
}

/// Returns when the shards' actors are gone, which have closed what they found, or left that in its queue.
fn end(home: Runtime) {
    thread::spawn(move || drop(home)).join().expect("a runtime that ends");
}

fn closure() -> impl FnOnce() -> futures::future::Ready<DropsBadly> + Send + 'static {
    let hostile = DropsBadly(true);
    move || {
        let _ = &hostile;
        ready(DropsBadly(false))
    }
}

async fn still_works(handle: &Handle<Key, DropsBadly>) {
    let key = Key(99, DropsBadly(false), Vice::None);
    assert!(handle.join_shared(key, || ready(DropsBadly(false))).await.is_ok());
    at_rest(handle).await;
}

#[test]
fn a_followers_key_and_closure_may_both_panic_when_dropped() {
    in_a_child_process("hostile_drops::a_followers_key_and_closure_may_both_panic_when_dropped", || async {
        let handle = one_shard::<Key, DropsBadly>();
        let mut leader = handle.join_shared(key(1), || ready(DropsBadly(false)));
        assert_pending(&mut leader);
        assert!(handle.join_shared(key(1), closure()).await.is_ok());
        assert!(leader.await.is_ok());
        still_works(&handle).await;
    });
}

#[test]
fn an_unpolled_joins_key_and_closure_may_both_panic_when_dropped() {
    in_a_child_process("hostile_drops::an_unpolled_joins_key_and_closure_may_both_panic_when_dropped", || async {
        let handle = one_shard::<Key, DropsBadly>();
        drop(handle.join_shared(key(1), closure()));
        still_works(&handle).await;
    });
}

#[test]
fn unwanted_keys_may_all_panic_where_the_runtime_drops_them() {
    in_a_child_process("hostile_drops::unwanted_keys_may_all_panic_where_the_runtime_drops_them", || async {
        // One task at a time, so that after some number of them the shard has found no caller and put the keys aside, and the
        // task that is to drop them has not had its turn.
        let elsewhere = |tasks: usize| {
            let runtime = runtime::Builder::new_current_thread().enable_time().event_interval(1).build().unwrap();
            let handle = runtime.block_on(async { one_shard::<Key, DropsBadly>() });
            let mut joins = [1, 2, 3].map(|n| handle.join_shared(key(n), pending));
            joins.iter_mut().for_each(assert_pending);
            drop(joins);
            (0..tasks).for_each(|_| runtime.block_on(tokio::task::yield_now()));
        };
        tokio::task::spawn_blocking(move || (0..8).for_each(elsewhere)).await.unwrap();
    });
}

#[test]
fn a_departed_followers_key_and_closure_may_both_panic_when_dropped() {
    in_a_child_process("hostile_drops::a_departed_followers_key_and_closure_may_both_panic_when_dropped", || async {
        let handle = one_shard::<Key, DropsBadly>();
        let gate = Gate::new();
        let passed = gate.pass();
        let mut leader = handle.join_shared(key(1), || async {
            passed.await;
            DropsBadly(false)
        });
        assert_pending(&mut leader);
        let mut follower = handle.join_shared(key(1), closure());
        assert_pending(&mut follower);
        until(&handle, |stats| stats.waiters == 2).await;
        drop(follower);
        until(&handle, |stats| stats.waiters == 1).await;
        settle().await;
        gate.open();
        assert!(leader.await.is_ok());
        still_works(&handle).await;
    });
}

#[test]
fn a_rejected_callers_key_and_closure_may_both_panic_when_dropped() {
    in_a_child_process("hostile_drops::a_rejected_callers_key_and_closure_may_both_panic_when_dropped", || async {
        let handle = one_shard::<Key, DropsBadly>();
        let mut leader = handle.join_shared(key(1), || ready(DropsBadly(false)));
        assert_pending(&mut leader);
        for vice in [Vice::PanicsInHash, Vice::PanicsInEq] {
            let refused = handle.join_shared(Key(1, DropsBadly(true), vice), closure()).await;
            assert!(matches!(refused.err(), Some(JoinError::Panicked(_))));
        }
        assert!(leader.await.is_ok());
        still_works(&handle).await;
    });
}

#[test]
fn an_unread_value_and_its_callers_key_may_both_panic_when_dropped() {
    in_a_child_process("hostile_drops::an_unread_value_and_its_callers_key_may_both_panic_when_dropped", || async {
        let handle = one_shard::<Key, DropsBadly>();
        let mut unread = handle.join_shared(key(1), || ready(DropsBadly(true)));
        assert_pending(&mut unread);
        settle().await;
        at_rest(&handle).await;
        // Whether one of the panics comes out here is another question.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(unread)));
        still_works(&handle).await;
    });
}

#[test]
fn an_unwanted_value_and_its_flights_key_may_both_panic_when_dropped() {
    in_a_child_process("hostile_drops::an_unwanted_value_and_its_flights_key_may_both_panic_when_dropped", || async {
        let handle = one_shard::<Key, DropsBadly>();
        let gate = Gate::new();
        let passed = gate.pass();
        let mut leader = handle.join_shared(key(1), || async {
            passed.await;
            DropsBadly(true)
        });
        assert_pending(&mut leader);
        settle().await;
        drop(leader);
        settle().await;
        gate.open();
        still_works(&handle).await;
    });
}

#[test]
fn a_forgotten_key_may_panic_both_in_its_hash_and_when_dropped() {
    in_a_child_process("hostile_drops::a_forgotten_key_may_panic_both_in_its_hash_and_when_dropped", || async {
        let handle = one_shard::<Key, DropsBadly>();
        for vice in [Vice::PanicsInHash, Vice::PanicsInEq] {
            let mut bystander = handle.join_shared(Key(1, DropsBadly(false), Vice::None), pending);
            assert_pending(&mut bystander);
            let asker = {
                let handle = handle.clone();
                tokio::spawn(async move { handle.forget(Key(1, DropsBadly(true), vice)).await })
            };
            assert!(asker.await.unwrap_err().is_panic());
            assert!(poll_once(&mut bystander).is_pending());
            assert!(!handle.forget(Key(2, DropsBadly(false), Vice::None)).await.unwrap());
            assert!(handle.forget(Key(1, DropsBadly(false), Vice::None)).await.unwrap(), "it was not forgotten before");
        }
    });
}

#[test]
fn a_payload_and_the_work_that_threw_it_may_both_panic_when_dropped() {
    in_a_child_process("hostile_drops::a_payload_and_the_work_that_threw_it_may_both_panic_when_dropped", || async {
        let handle = one_shard::<Key, DropsBadly>();
        let hostile = DropsBadly(true);
        let work = move || {
            futures::future::poll_fn(move |_| -> Poll<DropsBadly> {
                let _held = &hostile;
                panic_quietly(DropsBadly(true))
            })
        };
        assert!(matches!(handle.join_shared(key(1), work).await.err(), Some(JoinError::Panicked(_))));
        still_works(&handle).await;
    });
}

/// [`DropsBadly`], counted.
struct CountsBadDrops(Count);

impl Drop for CountsBadDrops {
    fn drop(&mut self) {
        self.0.up();
        panic_quietly("in a drop");
    }
}

/// To be polled while the shard is out. Its key and its closure both panic when dropped.
fn queued_join(
    handle: &Handle<SlowKey, i32>,
    id: i32,
    dropped: &Count,
) -> impl Future<Output = Result<i32, JoinError>> + Unpin + use<> {
    let hostile = || CountsBadDrops(dropped.clone());
    let held = hostile();
    let work = move || {
        let _ = &held;
        ready(7)
    };
    handle.join(SlowKey::holding(id, hostile()), work)
}

#[test]
fn keys_and_closures_of_a_closing_queue_may_both_panic_when_dropped() {
    in_a_child_process("hostile_drops::keys_and_closures_of_a_closing_queue_may_both_panic_when_dropped", || async {
        let home = two_workers();
        let handle = inside(&home, one_shard::<SlowKey, i32>);
        let busy = BusyShard::of(&handle);
        let dropped = Count::default();
        let mut before_the_close = queued_join(&handle, 1, &dropped);
        assert_pending(&mut before_the_close);
        end(home);
        let mut behind_the_close = queued_join(&handle, 2, &dropped);
        assert_pending(&mut behind_the_close);
        assert_pending(&mut Box::pin(handle.stats()));
        assert_eq!(dropped.get(), 0, "they are in the queue");
        drop(busy);
        assert!(before_the_close.await.is_err());
        assert!(matches!(behind_the_close.await, Err(JoinError::Closed)));
        eventually(|| dropped.get() == 4).await;
    });
}

/// A join that waits for a busy shard, and whose caller leaves.
async fn leave_a_queued_join(runtime_ends: bool) {
    let home = two_workers();
    let handle = inside(&home, one_shard::<SlowKey, i32>);
    let busy = BusyShard::of(&handle);
    let dropped = Count::default();
    let mut left = queued_join(&handle, 1, &dropped);
    assert_pending(&mut left);
    drop(left);
    let home = if runtime_ends {
        end(home);
        None
    } else {
        Some(home)
    };
    assert_eq!(dropped.get(), 0, "they are in the queue");
    drop(busy);
    eventually(|| dropped.get() == 2).await;
    home.into_iter().for_each(Runtime::shutdown_background);
}

#[test]
fn the_key_and_closure_of_a_queued_join_whose_caller_left_may_both_panic_when_dropped() {
    let test = "hostile_drops::the_key_and_closure_of_a_queued_join_whose_caller_left_may_both_panic_when_dropped";
    in_a_child_process(test, || leave_a_queued_join(false));
}

#[test]
fn the_key_and_closure_of_a_left_join_may_both_panic_after_the_end_of_the_runtime() {
    let test = "hostile_drops::the_key_and_closure_of_a_left_join_may_both_panic_after_the_end_of_the_runtime";
    in_a_child_process(test, || leave_a_queued_join(true));
}

#[test]
fn panicking_wakers_hide_no_end_of_the_runtime() {
    let test = "hostile_drops::panicking_wakers_hide_no_end_of_the_runtime";
    in_a_child_process(test, || async {
        let home = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let handle = inside(&home, one_shard::<i32, i32>);
        let waker = panicking_waker();
        let mut hostile: Vec<_> = (0..5).map(|_| handle.join(1, pending)).collect();
        for join in &mut hostile {
            assert!(Pin::new(join).poll(&mut Context::from_waker(&waker)).is_pending());
        }
        let mut waiting = handle.join(1, pending);
        assert_pending(&mut waiting);
        until(&handle, |stats| stats.waiters == 6).await;
        home.shutdown_background();
        assert!(waiting.await.is_err());
        for join in hostile {
            assert!(join.await.is_err());
        }
    });
}

#[test]
fn keys_of_unanswered_questions_may_all_panic_when_dropped() {
    in_a_child_process("hostile_drops::keys_of_unanswered_questions_may_all_panic_when_dropped", || async {
        let home = two_workers();
        let handle = inside(&home, one_shard::<SlowKey, i32>);
        let busy = BusyShard::of(&handle);
        let dropped = Count::default();
        let questions = || {
            let hostile = |id| SlowKey::holding(id, CountsBadDrops(dropped.clone()));
            let mut questions = [1, 2, 3].map(|id| Box::pin(handle.forget(hostile(id))));
            questions.iter_mut().for_each(assert_pending);
            questions
        };
        let [left, early @ ..] = questions();
        end(home);
        let [left_late, late @ ..] = questions();
        drop((left, left_late));
        assert_eq!(dropped.get(), 0, "the keys are in the queue");
        drop(busy);
        for question in early {
            assert!(!question.await.expect("it was asked before the shard closed"));
        }
        for question in late {
            assert!(question.await.is_err());
        }
        eventually(|| dropped.get() == 6).await;
    });
}
