//! Joins that share only flights whose work begins after them (`Freshness::StartedAfterCall`).

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use futures::future::join_all;
use shardflight::{Builder, Coalescer, Freshness, Handle, JoinError, OnAbandon, OnExpiry, RunWork};
use tokio::{
    task::yield_now,
    time::{advance, sleep},
};

use crate::support::{
    Count, Gate, assert_pending, at_rest, inside, limited, one_aborting_shard, one_shard, panic_quietly, poll_once,
    returning, settle, two_workers, until, watched,
};

const SECOND: Duration = Duration::from_secs(1);

fn built(configure: impl FnOnce(Builder<i32, i32>) -> Builder<i32, i32>) -> Handle<i32, i32> {
    configure(Coalescer::builder().shards(1)).build().unwrap().handle()
}

fn fresh<V: Send + Sync + 'static>(handle: &Handle<i32, V>) -> Handle<i32, V> {
    handle.with_freshness(Freshness::StartedAfterCall)
}

#[tokio::test]
async fn fresh_joins_wait_for_the_flight_under_way_and_share_the_next() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let (gate, next_gate) = (Gate::new(), Gate::new());
        let mut under_way = handle.join(1, gate.then(1));
        assert_pending(&mut under_way);
        let fresh = fresh(&handle);
        let mut joins: Vec<_> = (0..100).map(|_| fresh.join(1, next_gate.then(2))).collect();
        joins.iter_mut().for_each(assert_pending);
        let mut within = handle.join(1, returning(3));
        assert_pending(&mut within);
        settle().await;
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.executions, stats.flights, stats.pending, stats.waiters), (1, 2, 1, 102));
        gate.open();
        assert_eq!(
            (under_way.await.unwrap(), within.await.unwrap()),
            (1, 1),
            "the others still share what is under way"
        );
        settle().await;
        let mut later = handle.join(1, returning(4));
        assert_pending(&mut later);
        next_gate.open();
        for answer in join_all(joins).await {
            assert_eq!(answer.unwrap(), 2);
        }
        assert_eq!(later.await.unwrap(), 2, "it began before, and without the option that is fresh enough");
        let stats = at_rest(&handle).await;
        assert_eq!((stats.executions, stats.coalesced), (2, 101));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn two_hundred_writers_cost_a_handful_of_executions_one_at_a_time() {
    limited(async {
        let handle = fresh(&one_shard::<i32, u64>());
        let (value, running, executions) =
            (Arc::new(AtomicU64::new(0)), Arc::new(AtomicUsize::new(0)), Count::default());
        let writers = (0..200).map(|writer| {
            let (handle, value, running, executions) = (&handle, &value, &running, &executions);
            async move {
                sleep(Duration::from_millis(writer)).await;
                let written = value.fetch_add(1, SeqCst) + 1;
                let (value, running, executions) = (Arc::clone(value), Arc::clone(running), executions.clone());
                let read = handle.join(1, move || async move {
                    executions.up();
                    assert_eq!(running.fetch_add(1, SeqCst), 0, "one at a time");
                    let read = value.load(SeqCst);
                    sleep(Duration::from_millis(50)).await;
                    running.fetch_sub(1, SeqCst);
                    read
                });
                assert!(read.await.unwrap() >= written, "it reads its own write");
            }
        });
        join_all(writers).await;
        assert!((4..=7).contains(&executions.get()), "{executions:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_writer_reads_its_own_write() {
    limited(async {
        for run_work in [RunWork::Detached, RunWork::InPlace] {
            let handle = fresh(&Coalescer::<i32, u64>::builder().run_work(run_work).build().unwrap().handle());
            let value = Arc::new(AtomicU64::new(0));
            let writers = (0..8).map(|_| {
                let (handle, value) = (handle.clone(), Arc::clone(&value));
                tokio::spawn(async move {
                    for _ in 0..500 {
                        let written = value.fetch_add(1, SeqCst) + 1;
                        let value = Arc::clone(&value);
                        let work = move || async move {
                            let read = value.load(SeqCst);
                            yield_now().await;
                            read
                        };
                        assert!(handle.join(1, work).await.unwrap() >= written);
                    }
                })
            });
            join_all(writers).await.into_iter().for_each(|writer| writer.unwrap());
            let stats = at_rest(&handle).await;
            assert_eq!(stats.joins, 8 * 500);
        }
    })
    .await;
}

#[tokio::test]
async fn a_flight_that_waits_survives_its_leader() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let gate = Gate::new();
        let mut under_way = handle.join(1, gate.then(1));
        assert_pending(&mut under_way);
        let fresh = fresh(&handle);
        let mut leader = fresh.join(1, returning(2));
        let mut follower = fresh.join(1, returning(3));
        assert_pending(&mut leader);
        assert_pending(&mut follower);
        drop(leader);
        gate.open();
        assert_eq!(follower.await.unwrap(), 2);
        assert_eq!(under_way.await.unwrap(), 1);
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test]
async fn a_flight_that_waits_without_callers_is_finished_or_never_begins() {
    limited(async {
        for (handle, runs) in [(one_shard::<i32, i32>(), 1), (one_aborting_shard(), 0)] {
            let (gate, calls, drops) = (Gate::new(), Count::default(), Count::default());
            let mut under_way = handle.join(1, gate.then(1));
            assert_pending(&mut under_way);
            let (its_calls, dropped) = (calls.clone(), drops.on_drop());
            let mut waiting = fresh(&handle).join(1, move || async move {
                let _dropped = dropped;
                its_calls.up();
                2
            });
            assert_pending(&mut waiting);
            drop(waiting);
            assert_eq!(drops.get(), 1 - runs, "what never begins is dropped at once");
            gate.open();
            assert_eq!(under_way.await.unwrap(), 1);
            let stats = at_rest(&handle).await;
            assert_eq!((calls.get(), drops.get()), (runs, 1));
            assert_eq!((stats.executions, stats.joins), (1 + runs as u64, 1 + runs as u64));
        }
    })
    .await;
}

#[tokio::test]
async fn caps_hold_for_the_flight_that_waits() {
    limited(async {
        let handle = built(|builder| builder.max_waiters_per_flight(2).max_flights(2));
        let mut under_way = handle.join(1, pending);
        assert_pending(&mut under_way);
        let fresh = fresh(&handle);
        let mut waiting: Vec<_> = (0..2).map(|_| fresh.join(1, pending)).collect();
        waiting.iter_mut().for_each(assert_pending);
        let third = fresh.join(1, pending).await;
        assert!(matches!(third, Err(JoinError::TooManyWaiters { limit: 2 })), "{third:?}");
        let other_key = handle.join(2, pending).await;
        assert!(matches!(other_key, Err(JoinError::TooManyFlights { limit: 2 })), "{other_key:?}");
    })
    .await;
}

#[tokio::test]
async fn a_panic_under_way_lets_the_next_begin_and_each_reaches_its_own_callers() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let gate = Gate::new();
        let passed = gate.pass();
        let mut under_way = handle.join(1, move || async move {
            passed.await;
            panic_quietly("the first")
        });
        assert_pending(&mut under_way);
        let fresh = fresh(&handle);
        let mut next: Vec<_> = (0..2).map(|_| fresh.join(1, || async { panic_quietly("the second") })).collect();
        next.iter_mut().for_each(assert_pending);
        gate.open();
        assert!(matches!(under_way.await, Err(JoinError::Panicked(panic)) if panic.message() == "the first"));
        for answer in join_all(next).await {
            assert!(matches!(answer, Err(JoinError::Panicked(panic)) if panic.message() == "the second"));
        }
        assert_eq!(at_rest(&handle).await.panics, 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_flight_that_waits_begins_with_its_work() {
    limited(async {
        for on_expiry in [OnExpiry::Fail, OnExpiry::Detach] {
            let handle = built(|builder| builder.max_flight_duration(SECOND).on_expiry(on_expiry));
            let mut under_way = handle.join(1, pending);
            assert_pending(&mut under_way);
            advance(SECOND / 2).await;
            let fresh = fresh(&handle);
            let mut next = fresh.join(1, || async {
                sleep(SECOND * 3 / 4).await;
                2
            });
            assert_pending(&mut next);
            advance(SECOND / 2).await;
            settle().await;
            if on_expiry == OnExpiry::Fail {
                assert!(matches!(under_way.await, Err(JoinError::TimedOut { after: SECOND })));
            } else {
                assert!(poll_once(&mut under_way).is_pending(), "it goes on beside the next");
            }
            assert_eq!(next.await.unwrap(), 2);
        }
    })
    .await;
}

#[tokio::test]
async fn forget_detaches_the_flight_under_way_and_the_one_that_waits() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let gates = [(); 3].map(|()| Gate::new());
        let mut under_way = handle.join(1, gates[0].then(1));
        assert_pending(&mut under_way);
        let fresh = fresh(&handle);
        let mut waiting = fresh.join(1, gates[1].then(2));
        assert_pending(&mut waiting);
        assert!(handle.forget(1).await.unwrap());
        assert_eq!(handle.stats().await.unwrap().forgets, 2);
        let mut new = fresh.join(1, gates[2].then(3));
        assert_pending(&mut new);
        settle().await;
        assert_eq!(handle.stats().await.unwrap().executions, 2, "the new one waits for neither");
        gates[2].open();
        assert_eq!(new.await.unwrap(), 3);
        gates[0].open();
        assert_eq!(under_way.await.unwrap(), 1);
        let mut later = handle.join(1, returning(4));
        assert_eq!(poll_once(&mut later).map(Result::unwrap), std::task::Poll::Pending);
        gates[1].open();
        assert_eq!((waiting.await.unwrap(), later.await.unwrap()), (2, 4));
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_gives_the_flight_that_waits_its_time_and_then_closes_it() {
    limited(async {
        for (time, answers) in [(Duration::MAX, true), (Duration::ZERO, false)] {
            let coalescer = Coalescer::<i32, i32>::builder().shards(1).build().unwrap();
            let (handle, calls) = (coalescer.handle(), Count::default());
            let mut under_way = handle.join(1, || async {
                sleep(SECOND).await;
                1
            });
            assert_pending(&mut under_way);
            let its_calls = calls.clone();
            let mut waiting = fresh(&handle).join(1, move || async move {
                its_calls.up();
                2
            });
            assert_pending(&mut waiting);
            let shutdown = coalescer.shutdown(time).await;
            assert_eq!((shutdown.finished, shutdown.cut), if answers { (2, 0) } else { (0, 2) });
            let answer = waiting.await;
            assert!(if answers { answer == Ok(2) } else { answer == Err(JoinError::Closed) }, "{answer:?}");
            assert_eq!(calls.get(), usize::from(answers));
        }
    })
    .await;
}

#[tokio::test]
async fn work_that_would_wait_for_its_own_end_is_told() {
    limited(async {
        let handle = one_shard::<i32, bool>();
        let direct = fresh(&handle);
        let work = {
            let handle = direct.clone();
            move || async move { matches!(handle.join(1, || async { false }).await, Err(JoinError::Reentrant)) }
        };
        assert!(direct.join(1, work).await.unwrap());

        // By way of another key: 1 waits for 2, whose work waits for a flight that begins after 1.
        let (outer, inner) = (handle.clone(), direct.clone());
        let work = move || async move {
            let nested =
                move || async move { matches!(inner.join(1, || async { false }).await, Err(JoinError::Reentrant)) };
            outer.join(2, nested).await.unwrap()
        };
        assert!(handle.join(1, work).await.unwrap());
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test]
async fn a_flight_that_waits_for_work_which_its_leader_polls_does_not_depend_on_that_leader() {
    limited(async {
        let handle = built(|builder| builder.run_work(RunWork::InPlace));
        let gate = Gate::new();
        let mut parked = handle.join(1, gate.then(1));
        assert_pending(&mut parked);
        let mut next = fresh(&handle).join(1, returning(2));
        assert_pending(&mut next);
        gate.open();
        assert_eq!(next.await.unwrap(), 2, "the leader before is never polled again");
        drop(parked);
        at_rest(&handle).await;
    })
    .await;
}

#[test]
fn threads_read_their_own_writes() {
    watched(|| {
        let runtime = two_workers();
        let handle = fresh(&inside(&runtime, Coalescer::<i32, u64>::new).handle());
        let value = Arc::new(AtomicU64::new(0));
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let (handle, value) = (handle.clone(), Arc::clone(&value));
                thread::spawn(move || {
                    for _ in 0..100 {
                        let written = value.fetch_add(1, SeqCst) + 1;
                        let value = Arc::clone(&value);
                        assert!(handle.blocking_join(1, move || value.load(SeqCst)).unwrap() >= written);
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let stats = runtime.block_on(at_rest(&handle));
        assert_eq!((stats.joins, stats.aborts), (400, 0));
    });
}

#[tokio::test]
async fn a_dropped_fresh_join_leaves_the_flight_under_way_alone() {
    limited(async {
        let handle = built(|builder| builder.on_abandon(OnAbandon::Abort));
        let gate = Gate::new();
        let mut under_way = handle.join(1, gate.then(1));
        assert_pending(&mut under_way);
        for _ in 0..3 {
            let mut waiting = fresh(&handle).join(1, pending);
            assert_pending(&mut waiting);
            until(&handle, |stats| stats.flights == 2).await;
            drop(waiting);
            until(&handle, |stats| stats.flights == 1).await;
        }
        gate.open();
        assert_eq!(under_way.await.unwrap(), 1);
        at_rest(&handle).await;
    })
    .await;
}
