//! How often each kind of call goes to the allocator, held against a table.
//!
//! Everything is on one thread, the clock stands still and the hasher is the same in every run, so the counts are
//! exact: no matter of the machine's, nor of luck. A test binary of its own, because the allocator that counts is the
//! process's.

use std::{
    collections::hash_map::DefaultHasher,
    future::pending,
    hash::BuildHasherDefault,
    panic::resume_unwind,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use allocation_counter::measure;
use futures::poll;
use shardflight::{Coalescer, Handle};
use tokio::{runtime, sync::oneshot, task::yield_now};

/// Allocations in 1,000 calls; when they change, nothing else has to. What a call costs by itself is the thousands, and
/// the rest is for what grows or is swept every so many calls.
const TABLE: [(&str, u64); 7] = [
    ("leader", 3_000),
    ("leader by try_join", 3_000),
    ("leader and its first follower", 4_000),
    ("follower in a crowd", 11),
    ("cancelled follower", 2),
    ("bypassed join", 1_000),
    ("forget of nothing", 0),
];

const CALLS: u64 = 1_000;

/// Rounds of so many calls, after which what is built once or kept between calls has its size.
const WARM_UP: usize = 3;

/// Generous: it is only ever reached by a test that hangs.
const LIMIT: Duration = Duration::from_secs(30);

type Callers<V> = Handle<u64, V, BuildHasherDefault<DefaultHasher>>;

/// Has so many calls made, and none, and compares the difference with the table.
fn weigh<V, R>(name: &'static str, calls: R)
where
    V: Send + Sync + 'static,
    R: AsyncFn(Callers<V>, u64) + Send + 'static,
{
    let (made, allowed) = limited(move || {
        let runtime =
            runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        let coalescer = runtime.block_on(async {
            Coalescer::builder().shards(1).hasher(BuildHasherDefault::default()).build().expect("inside a runtime")
        });
        let make = |count| runtime.block_on(calls(coalescer.handle(), count));
        (0..WARM_UP).for_each(|_| make(CALLS));
        let [none, all] = [0, CALLS].map(|count| measure(|| make(count)).count_total);
        let (_, allowed) = TABLE.iter().find(|(row, _)| *row == name).expect("a row of the table");
        (all - none, *allowed)
    });
    let verdict = if made > allowed { "find out which is new" } else { "update the table, and be glad" };
    assert_eq!(made, allowed, "allocations of {CALLS} times \"{name}\", on the left, aren't the table's: {verdict}");
}

/// A hang is a failure, not a stuck test run. On a thread of its own, which is the only one that is counted.
fn limited<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, over) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let _done = done;
        test()
    });
    assert_eq!(over.recv_timeout(LIMIT), Err(RecvTimeoutError::Disconnected), "the test hangs");
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Lets the shard take what is in its lane.
async fn turns() {
    for _ in 0..3 {
        yield_now().await;
    }
}

/// A flight that is up for as long as `during` takes.
async fn in_flight(callers: &Callers<u64>, during: impl AsyncFnOnce()) {
    let (end, ended) = oneshot::channel();
    let mut leader = callers.join(0_u64, || async { ended.await.expect("the end of a flight") });
    assert!(poll!(&mut leader).is_pending());
    turns().await;
    during().await;
    end.send(7).expect("the work waits for it");
    assert_eq!(leader.await.unwrap(), 7);
}

#[test]
fn a_leader_allocates_as_often_as_the_table_says() {
    weigh("leader", async |callers: Callers<u64>, calls| {
        for key in 0..calls {
            assert_eq!(callers.join(key, || async { 7 }).await.unwrap(), 7);
        }
    });
}

#[test]
fn a_leader_by_try_join_allocates_as_often_as_the_table_says() {
    weigh("leader by try_join", async |callers: Callers<Result<u64, u64>>, calls| {
        for key in 0..calls {
            assert_eq!(callers.try_join(key, || async { Ok(7) }).await.unwrap(), 7);
        }
    });
}

#[test]
fn a_leader_and_its_first_follower_allocate_as_often_as_the_table_says() {
    weigh("leader and its first follower", async |callers: Callers<u64>, calls| {
        for key in 0..calls {
            let mut leader = callers.join(key, || async { 7 });
            let mut follower = callers.join(key, pending);
            assert!(poll!(&mut leader).is_pending());
            assert!(poll!(&mut follower).is_pending());
            assert_eq!([leader.await.unwrap(), follower.await.unwrap()], [7, 7]);
        }
    });
}

#[test]
fn a_follower_in_a_crowd_allocates_as_often_as_the_table_says() {
    weigh("follower in a crowd", async |callers: Callers<u64>, calls| {
        // Room for one more, so that a crowd of none allocates it too.
        let mut crowd = Vec::with_capacity(1 + usize::try_from(calls).expect("a number of calls"));
        in_flight(&callers, async || {
            for _ in 0..calls {
                let mut follower = callers.join(0_u64, pending);
                assert!(poll!(&mut follower).is_pending());
                crowd.push(follower);
            }
            turns().await;
        })
        .await;
        for follower in crowd {
            assert_eq!(follower.await.unwrap(), 7);
        }
    });
}

#[test]
fn a_cancelled_follower_allocates_as_often_as_the_table_says() {
    weigh("cancelled follower", async |callers: Callers<u64>, calls| {
        in_flight(&callers, async || {
            for _ in 0..calls {
                let mut follower = callers.join(0_u64, pending);
                assert!(poll!(&mut follower).is_pending());
                turns().await;
                drop(follower);
                turns().await;
            }
            let stats = callers.stats().await.expect("the shard is there");
            assert_eq!(stats.waiters, 1, "a departure that the shard hasn't noticed: {stats:?}");
        })
        .await;
    });
}

#[test]
fn a_bypassed_join_allocates_as_often_as_the_table_says() {
    weigh("bypassed join", async |callers: Callers<u64>, calls| {
        callers.set_enabled(false);
        for key in 0..calls {
            assert_eq!(callers.join(key, || async { 7 }).await.unwrap(), 7);
        }
    });
}

#[test]
fn a_forget_of_nothing_allocates_as_often_as_the_table_says() {
    weigh("forget of nothing", async |callers: Callers<u64>, calls| {
        for key in 0..calls {
            assert!(!callers.forget(key).await.unwrap());
        }
    });
}
