//! A key's next flight begins when aborted work is gone (G10, G11).

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

use shardflight::{Builder, Coalescer, Handle, JoinError, OnAbandon, RunWork};
use tokio::{sync::Semaphore, task::yield_now, time::advance};

use crate::support::{
    Count, LIMIT, Opener, Wall, assert_pending, at_rest, eventually, inside, limited, poll_once, returning, settle,
    two_workers, until, watched,
};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

fn aborting() -> Builder<i32, i32> {
    Coalescer::builder().shards(1).on_abandon(OnAbandon::Abort)
}

/// Takes the one permit that there is, and keeps it until it is dropped.
async fn hold(permit: Arc<Semaphore>, overlaps: Count) -> i32 {
    let Ok(_permit) = permit.try_acquire() else {
        overlaps.up();
        return 0;
    };
    for _ in 0..3 {
        yield_now().await;
    }
    1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_flight_begins_when_abandoned_work_is_gone() {
    limited(async {
        for run_work in [RunWork::Detached, RunWork::InPlace] {
            let handle = aborting().run_work(run_work).build().unwrap().handle();
            let (permit, overlaps) = (Arc::new(Semaphore::new(1)), Count::default());
            for round in 0..500 {
                let work = || {
                    let (permit, overlaps) = (Arc::clone(&permit), overlaps.clone());
                    move || hold(permit, overlaps)
                };
                let mut leaver = handle.join(1, work());
                if poll_once(&mut leaver).is_pending() {
                    for _ in 0..round % 4 {
                        yield_now().await;
                    }
                }
                drop(leaver);
                assert_eq!(handle.join(1, work()).await.unwrap(), 1);
            }
            assert_eq!((overlaps.get(), at_rest(&handle).await.overlaps), (0, 0));
        }
    })
    .await;
}

/// Work that can't be dropped before the wall is opened, as its thread is blocked there.
fn stubborn(wall: Wall, began: Count) -> impl FnOnce() -> std::future::Pending<i32> + Send {
    move || {
        began.up();
        wall.block();
        pending()
    }
}

/// The last caller of such work has left. It goes when the opener does.
async fn abandon_stubborn_work(handle: &Handle<i32, i32>) -> Opener {
    let ((wall, opener), began) = (Wall::new(), Count::default());
    let caller = tokio::spawn(handle.join(1, stubborn(wall, began.clone())));
    eventually(|| began.get() == 1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    opener
}

#[test]
fn callers_of_an_expired_flight_are_answered_while_the_next_waits_for_its_work() {
    watched(|| {
        let runtime = two_workers();
        let builder = Coalescer::<i32, i32>::builder().shards(1).max_flight_duration(Duration::from_millis(20));
        let handle = inside(&runtime, || builder.abort_grace(Duration::MAX).build().unwrap().handle());
        runtime.block_on(async {
            // Work that has not begun by its deadline never begins: then once more.
            let (opener, drops) = loop {
                let ((wall, opener), began, drops) = (Wall::new(), Count::default(), Count::default());
                let dropped = drops.on_drop();
                let work = stubborn(wall, began.clone());
                let hung = tokio::spawn(handle.join(1, move || {
                    let _dropped = dropped;
                    work()
                }));
                eventually(|| began.get() == 1 || hung.is_finished()).await;
                assert!(matches!(hung.await.unwrap(), Err(JoinError::TimedOut { .. })));
                if began.get() == 1 {
                    break (opener, drops);
                }
            };
            let (seen, patient) = (drops.clone(), handle.with_max_flight_duration(LIMIT).unwrap());
            let mut next = patient.join(1, move || async move { i32::try_from(seen.get()).unwrap() });
            assert_pending(&mut next);
            let stats = until(&handle, |stats| stats.pending == 1).await;
            assert_eq!((stats.flights, stats.lingering), (1, 1));
            drop(opener);
            assert_eq!(next.await.unwrap(), 1, "the work before was gone");
            at_rest(&handle).await;
        });
    });
}

#[test]
fn blocking_work_that_goes_on_after_its_abort_and_joins_its_own_key_is_refused() {
    watched(|| {
        let runtime = two_workers();
        let builder = Coalescer::<i32, i32>::builder().shards(1).max_flight_duration(Duration::from_millis(20));
        let handle = inside(&runtime, || builder.abort_grace(Duration::MAX).build().unwrap().handle());
        // Work that no thread has begun by its deadline never begins: then once more.
        let inner_answer = loop {
            let ((wall, opener), (sender, inner_answer)) = (Wall::new(), mpsc::channel());
            let inner = handle.clone();
            let answer = handle.blocking_join(1, move || {
                wall.block();
                sender.send(inner.blocking_join(1, || 2)).unwrap();
                1
            });
            assert!(matches!(answer, Err(JoinError::TimedOut { .. })));
            drop(opener);
            if let Ok(inner_answer) = inner_answer.recv() {
                break inner_answer;
            }
        };
        assert_eq!(inner_answer, Err(JoinError::Reentrant));
        runtime.block_on(at_rest(&handle));
    });
}

#[test]
fn work_that_does_not_go_is_waited_for_no_longer_than_the_grace() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, || aborting().abort_grace(Duration::from_millis(20)).build().unwrap().handle());
        runtime.block_on(async {
            let opener = abandon_stubborn_work(&handle).await;
            assert_eq!(handle.join(1, returning(2)).await.unwrap(), 2);
            let stats = handle.stats().await.unwrap();
            assert_eq!((stats.overlaps, stats.lingering), (1, 1));
            assert_eq!(handle.join(1, returning(3)).await.unwrap(), 3);
            assert_eq!(handle.stats().await.unwrap().overlaps, 1, "the flights after it have nothing to wait for");
            drop(opener);
            at_rest(&handle).await;
        });
    });
}

#[test]
fn without_a_grace_the_next_begins_at_once() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, || aborting().abort_grace(Duration::ZERO).build().unwrap().handle());
        runtime.block_on(async {
            let opener = abandon_stubborn_work(&handle).await;
            assert_eq!(handle.join(1, returning(2)).await.unwrap(), 2);
            assert_eq!(handle.stats().await.unwrap().overlaps, 0);
            drop(opener);
            at_rest(&handle).await;
        });
    });
}

#[test]
fn blocking_work_that_hangs_delays_the_next_by_the_grace() {
    watched(|| {
        let runtime = two_workers();
        let builder = Coalescer::<i32, i32>::builder().shards(1).max_flight_duration(Duration::from_millis(20));
        let handle = inside(&runtime, || builder.abort_grace(Duration::from_millis(20)).build().unwrap().handle());
        let mut openers = Vec::new();
        let began = Count::default();
        while began.get() == 0 {
            let ((wall, opener), began) = (Wall::new(), began.clone());
            openers.push(opener);
            let hung = handle.blocking_join(1, move || {
                began.up();
                wall.block();
                1
            });
            assert!(matches!(hung, Err(JoinError::TimedOut { .. })), "{hung:?}");
        }
        let next = loop {
            match handle.blocking_join(1, || 2) {
                Err(JoinError::TimedOut { .. }) => {}
                answer => break answer,
            }
        };
        assert_eq!(next, Ok(2));
        assert_eq!(runtime.block_on(handle.stats()).unwrap().overlaps, 1);
        drop(openers);
        runtime.block_on(at_rest(&handle));
    });
}

#[tokio::test]
async fn callers_that_come_before_aborted_work_is_gone_share_the_next_flight() {
    limited(async {
        let handle = aborting().build().unwrap().handle();
        let executions = Count::default();
        let mut leaver = handle.join(1, pending);
        assert_pending(&mut leaver);
        settle().await;
        drop(leaver);
        let mut callers: Vec<_> = (0..10)
            .map(|_| {
                let executions = executions.clone();
                handle.join(1, move || async move { i32::try_from(executions.up()).unwrap() })
            })
            .collect();
        callers.iter_mut().for_each(assert_pending);
        for caller in callers {
            assert_eq!(caller.await.unwrap(), 1);
        }
        let stats = at_rest(&handle).await;
        assert_eq!((stats.executions, stats.coalesced, stats.aborts), (2, 9, 1));
    })
    .await;
}

#[tokio::test]
async fn a_forget_lets_the_next_begin_beside_aborted_work() {
    limited(async {
        let handle = aborting().build().unwrap().handle();
        let mut leaver = handle.join(1, pending);
        assert_pending(&mut leaver);
        drop(leaver);
        assert!(!handle.forget(1).await.unwrap(), "there is no flight");
        let mut waiting = handle.join(1, returning(2));
        assert_pending(&mut waiting);
        assert!(handle.forget(1).await.unwrap(), "the one that waits");
        let mut new = handle.join(1, returning(3));
        assert_pending(&mut new);
        assert_eq!(handle.stats().await.unwrap().flights, 2);
        assert_eq!((waiting.await.unwrap(), new.await.unwrap()), (2, 3));
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test]
async fn executions_are_the_works_that_were_called_at_every_moment() {
    limited(async {
        let handle = aborting().build().unwrap().handle();
        let calls = Arc::new(AtomicUsize::new(0));
        for round in 0..2_000_u32 {
            let its_calls = Arc::clone(&calls);
            let mut leaver = handle.join(i32::try_from(round % 3).unwrap(), move || {
                its_calls.fetch_add(1, SeqCst);
                pending()
            });
            assert_pending(&mut leaver);
            if round % 2 == 0 {
                yield_now().await;
            }
            drop(leaver);
            if round % 5 == 0 {
                yield_now().await;
            }
            let stats = handle.stats().await.unwrap();
            assert_eq!(stats.executions, calls.load(SeqCst) as u64, "in round {round}");
        }
        let stats = at_rest(&handle).await;
        assert_eq!((stats.joins, stats.departures), (stats.executions, 2_000));
        assert!((1..2_000).contains(&stats.executions), "{stats:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_second_flight_has_its_whole_time_though_the_first_was_cut_short() {
    limited(async {
        let handle: Handle<i32, i32> =
            Coalescer::builder().shards(1).max_flight_duration(SECOND).build().unwrap().handle();
        for _ in 0..3 {
            let mut hung = handle.join(1, pending);
            assert_pending(&mut hung);
            settle().await;
            advance(999 * MILLI).await;
            settle().await;
            assert_pending(&mut hung);
            advance(MILLI).await;
            assert!(matches!(hung.await, Err(JoinError::TimedOut { after: SECOND })));
        }
        assert_eq!(at_rest(&handle).await.overlaps, 0);
    })
    .await;
}
