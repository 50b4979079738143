//! Many callers, two threads, no order agreed upon: what holds in the quiet tests holds here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

use futures::future::join_all;
use shardflight::{Coalescer, OnAbandon};
use tokio::task::{JoinSet, yield_now};

use crate::support::{Count, at_rest, limited};

/// Arbitrary, and the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn executions_of_one_key_never_overlap() {
    limited(async {
        let handle = Coalescer::<u64, ()>::new().handle();
        let running: Arc<[AtomicUsize; 4]> = Arc::default();
        let mut callers = JoinSet::new();
        for seed in 1..=16 {
            let (handle, running) = (handle.clone(), Arc::clone(&running));
            callers.spawn(async move {
                let mut dice = Dice(seed);
                for _ in 0..500 {
                    let (key, yields) = (dice.roll(4), dice.roll(3));
                    let running = Arc::clone(&running);
                    let join = handle.join(key, move || async move {
                        let running = &running[usize::try_from(key).unwrap()];
                        assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "two at a time");
                        for _ in 0..yields {
                            yield_now().await;
                        }
                        running.fetch_sub(1, Ordering::SeqCst);
                    });
                    join.await.unwrap();
                }
            });
        }
        while let Some(caller) = callers.join_next().await {
            caller.unwrap();
        }
        at_rest(&handle).await;
    })
    .await;
}

/// Callers hang up after any number of polls; those that stay must get a value, never an error.
async fn storm_of_departures(on_abandon: OnAbandon) {
    let handle = Coalescer::<u64, u64>::builder().shards(2).on_abandon(on_abandon).build().unwrap().handle();
    let mut callers = JoinSet::new();
    for seed in 1..=32 {
        let handle = handle.clone();
        callers.spawn(async move {
            let mut dice = Dice(seed);
            for _ in 0..300 {
                let (key, polls, yields) = (dice.roll(3), dice.roll(6), dice.roll(5));
                let join = handle.join(key, move || async move {
                    for _ in 0..yields {
                        yield_now().await;
                    }
                    key
                });
                if polls == 0 {
                    assert_eq!(join.await.unwrap(), key);
                } else {
                    let leaves = async {
                        for _ in 0..polls {
                            yield_now().await;
                        }
                    };
                    tokio::select! {
                        biased;
                        answer = join => assert_eq!(answer.unwrap(), key),
                        () = leaves => {}
                    }
                }
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    let stats = at_rest(&handle).await;
    assert_eq!((stats.panics, stats.rejections), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn departures_cost_no_other_caller_its_answer() {
    limited(storm_of_departures(OnAbandon::Finish)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_caller_joins_a_flight_being_aborted() {
    limited(storm_of_departures(OnAbandon::Abort)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_join_after_a_forget_reads_older_data() {
    limited(async {
        let handle = Coalescer::<u8, u64>::new().handle();
        let row = Arc::new(AtomicU64::new(0));
        let read = {
            let row = Arc::clone(&row);
            move || async move {
                let version = row.load(Ordering::SeqCst);
                yield_now().await;
                version
            }
        };
        let mut others = JoinSet::new();
        let over = Arc::new(AtomicBool::new(false));
        for _ in 0..8 {
            let (handle, read, over) = (handle.clone(), read.clone(), Arc::clone(&over));
            others.spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    handle.join(1, read.clone()).await.unwrap();
                }
            });
        }
        for version in 1..=2_000 {
            row.store(version, Ordering::SeqCst);
            if version % 7 == 0 {
                handle.forget_all().await.unwrap();
            } else {
                handle.forget(1).await.unwrap();
            }
            assert!(handle.join(1, read.clone()).await.unwrap() >= version);
        }
        over.store(true, Ordering::SeqCst);
        others.join_all().await;
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_from_plain_threads_are_all_answered() {
    limited(async {
        let handle = Coalescer::<usize, usize>::new().handle();
        let answered = Count::default();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (handle, answered) = (handle.clone(), answered.clone());
                thread::spawn(move || {
                    for n in 0..500 {
                        let key = n % 5;
                        let work = move || async move {
                            yield_now().await;
                            key
                        };
                        assert_eq!(futures::executor::block_on(handle.join(key, work)).unwrap(), key);
                        answered.up();
                    }
                })
            })
            .collect();
        let over = tokio::task::spawn_blocking(|| threads.into_iter().all(|thread| thread.join().is_ok()));
        assert!(over.await.unwrap());
        assert_eq!(answered.get(), 2_000);
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stats_beside_departures_add_up() {
    limited(async {
        let handle = Coalescer::<u64, u64>::builder().shards(1).on_abandon(OnAbandon::Abort).build().unwrap().handle();
        let storm = join_all((1..=8).map(|seed| {
            let handle = handle.clone();
            tokio::spawn(async move {
                let mut dice = Dice(seed);
                for _ in 0..200 {
                    let caller = tokio::spawn(handle.join(dice.roll(2), std::future::pending));
                    for _ in 0..dice.roll(4) {
                        yield_now().await;
                    }
                    let stats = handle.stats().await.unwrap();
                    assert_eq!(stats.joins, stats.executions + stats.coalesced + stats.pending as u64);
                    assert!(stats.waiters <= 8);
                    caller.abort();
                    assert!(caller.await.unwrap_err().is_cancelled());
                }
            })
        }));
        assert!(storm.await.into_iter().all(|caller| caller.is_ok()));
        let stats = at_rest(&handle).await;
        assert_eq!(stats.joins, stats.executions + stats.coalesced);
        // Work that was dropped before it was called is no execution, and its leader no join.
        assert!(stats.departures >= stats.joins && stats.aborts >= stats.executions, "{stats:?}");
    })
    .await;
}
