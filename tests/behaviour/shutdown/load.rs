//! Shutdowns while many callers join and ask.

use std::{future::pending, time::Duration};

use futures::future::join_all;
use shardflight::Handle;
use tokio::task::yield_now;

use super::{SECOND, coalescer, is_closed};
use crate::support::{Count, eventually, limited};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_joins_is_answered() {
    limited(async {
        for _ in 0..20 {
            let coalescer = coalescer(4);
            let callers: Vec<_> = (0..500)
                .map(|number| {
                    let handle = coalescer.handle();
                    tokio::spawn(async move {
                        let work = move || async move {
                            yield_now().await;
                            number % 7
                        };
                        handle.join(number % 7, work).await
                    })
                })
                .collect();
            let (_, answers) = tokio::join!(coalescer.shutdown(5 * SECOND), join_all(callers));
            for (answer, number) in answers.into_iter().zip(0..) {
                let answer = answer.unwrap();
                assert!(matches!(answer, Ok(value) if value == number % 7) || is_closed(&answer), "{answer:?}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_in_loops_are_answered() {
    limited(async {
        for round in 0..10 {
            let coalescer = coalescer(4);
            let (answered, begun) = (Count::default(), Count::default());
            let callers: Vec<_> = (0..20)
                .map(|n| {
                    let (handle, answered, begun) = (coalescer.handle(), answered.clone(), begun.clone());
                    tokio::spawn(async move {
                        for key in 1.. {
                            begun.up();
                            let work = async move || {
                                if key % 7 == 0 { pending().await } else { n }
                            };
                            let answer = handle.join(key % 50, work).await;
                            answered.up();
                            if is_closed(&answer) {
                                break;
                            }
                        }
                    })
                })
                .collect();
            eventually(|| begun.get() >= 20 + 10 * round).await;
            coalescer.shutdown(Duration::from_millis(round as u64)).await;
            for caller in callers {
                caller.await.unwrap();
            }
            assert_eq!(answered.get(), begun.get());
        }
    })
    .await;
}

/// A question may come into the mailbox beside its closing. Where in between is up to the threads, so there are many.
#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn questions_are_answered() {
    async fn ask_until_closed(handle: Handle<i32, i32>, forgets: bool, asked: Count) {
        loop {
            asked.up();
            let closed = if forgets { handle.forget(7).await.is_err() } else { handle.stats().await.is_err() };
            if closed {
                return;
            }
            yield_now().await;
        }
    }
    limited(async {
        for round in 0..300 {
            let (coalescer, asked) = (coalescer(4), Count::default());
            let askers: Vec<_> = (0..12)
                .map(|n| tokio::spawn(ask_until_closed(coalescer.handle(), n % 2 == 0, asked.clone())))
                .collect();
            eventually(|| asked.get() > 30 + round % 100).await;
            coalescer.shutdown(Duration::ZERO).await;
            join_all(askers).await.into_iter().for_each(|asker| asker.expect("no panic reaches an asker"));
        }
    })
    .await;
}
