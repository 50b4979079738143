//! Work that is called a second time if the first call is slow.

use std::{
    future::{pending, ready},
    pin::Pin,
    time::Duration,
};

use futures::FutureExt as _;
use shardflight::{Coalescer, Handle, Hedge, InvalidHedgeBudget, JoinError, TryJoinError};
use tokio::time::{Instant, advance, sleep};

use crate::support::{
    Count, Gate, assert_pending, at_rest, eventually, limited, one_aborting_shard, one_shard, panic_quietly, returning,
    settle, until,
};

const AFTER: Duration = Duration::from_millis(50);

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Work whose first call never ends and drops a token, and whose later calls return their number.
fn slow_at_first(calls: &Count, dropped: &Count) -> impl Fn() -> Boxed<i32> + Send + use<> {
    let (calls, dropped) = (calls.clone(), dropped.clone());
    move || match calls.up() {
        1 => {
            let token = dropped.on_drop();
            Box::pin(async move {
                let _token = token;
                pending().await
            })
        }
        call => Box::pin(ready(call.try_into().unwrap())),
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_is_made_again_and_its_future_is_dropped() {
    limited(async {
        let (handle, calls, dropped) = (one_shard::<i32, i32>(), Count::default(), Count::default());
        let began = Instant::now();
        let leader = handle.join_hedged(1, Hedge::after(AFTER), slow_at_first(&calls, &dropped));
        let follower = handle.join(1, returning(9));
        assert_eq!(tokio::join!(leader, follower), (Ok(2), Ok(2)));
        assert_eq!((began.elapsed().as_millis(), calls.get(), dropped.get()), (AFTER.as_millis(), 2, 1));
        let stats = at_rest(&handle).await;
        assert_eq!((stats.executions, stats.hedges, stats.hedges_won, stats.hedges_denied), (1, 1, 1, 0));
        handle.reset_stats().await.unwrap();
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.hedges, stats.hedges_won), (0, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_quick_call_is_made_once() {
    limited(async {
        let (handle, calls) = (one_shard::<i32, i32>(), Count::default());
        let made = calls.clone();
        let quick = move || {
            made.up();
            sleep(Duration::from_millis(49)).map(|()| 7)
        };
        assert_eq!(handle.join_hedged(1, Hedge::after(AFTER), quick).await, Ok(7));
        sleep(AFTER).await;
        assert_eq!((calls.get(), at_rest(&handle).await.hedges), (1, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_first_call_may_still_win() {
    limited(async {
        let (handle, calls, dropped) = (one_shard::<i32, i32>(), Count::default(), Count::default());
        let (made, gone) = (calls.clone(), dropped.clone());
        let work = move || {
            let (call, token) = (made.up(), gone.on_drop());
            sleep(AFTER * 2).map(move |()| {
                drop(token);
                i32::try_from(call).unwrap()
            })
        };
        assert_eq!(handle.join_hedged(1, Hedge::after(AFTER), work).await, Ok(1));
        let stats = at_rest(&handle).await;
        assert_eq!((calls.get(), dropped.get(), stats.hedges, stats.hedges_won), (2, 2, 1, 0));
    })
    .await;
}

/// Of the two calls, how long each takes and whether it succeeds; and the number of the call whose result is the answer.
#[tokio::test(start_paused = true)]
async fn an_error_waits_for_the_other_call() {
    let ms = Duration::from_millis;
    limited(async {
        let handle = one_shard::<i32, Result<i32, String>>();
        for (calls, answer) in [
            ([(ms(60), false), (ms(90), true)], Ok(2)),
            ([(ms(90), true), (ms(10), false)], Ok(1)),
            ([(ms(90), false), (ms(10), false)], Err("1".to_owned())),
            ([(ms(60), false), (ms(90), false)], Err("1".to_owned())),
            // Before its time, an error is no reason for another call.
            ([(ms(40), false), (ms(0), true)], Err("1".to_owned())),
        ] {
            let made = Count::default();
            let work = move || {
                let call = made.up();
                let (takes, succeeds) = calls[call - 1];
                sleep(takes).map(move |()| if succeeds { Ok(call.try_into().unwrap()) } else { Err(call.to_string()) })
            };
            let hedge = Hedge::after(AFTER);
            assert_eq!(handle.try_join_hedged(1, hedge, work).await, answer.map_err(TryJoinError::Work), "{calls:?}");
        }
        assert_eq!(at_rest(&handle).await.errors, 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_waits_for_the_other_call() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        for (panics, succeeds) in [([true, false], true), ([false, true], true), ([true, true], false)] {
            let made = Count::default();
            let work = move || {
                let call = made.up();
                // The second ends first.
                sleep([5 * AFTER, AFTER][call - 1]).map(move |()| {
                    if panics[call - 1] { panic_quietly(format!("call {call}")) } else { call.try_into().unwrap() }
                })
            };
            match handle.join_hedged(1, Hedge::after(AFTER), work).await {
                Ok(call) => assert!(succeeds && !panics[usize::try_from(call).unwrap() - 1], "{panics:?}: {call}"),
                Err(JoinError::Panicked(panic)) => assert_eq!((succeeds, panic.message()), (false, "call 1")),
                unexpected => panic!("{unexpected:?}"),
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_aborted_flight_drops_both_calls() {
    limited(async {
        let (handle, dropped) = (one_aborting_shard::<i32, i32>(), Count::default());
        let gone = dropped.clone();
        let work = move || {
            let token = gone.on_drop();
            async move {
                let _token = token;
                pending().await
            }
        };
        let mut caller = handle.join_hedged(1, Hedge::after(AFTER), work);
        assert_pending(&mut caller);
        sleep(AFTER).await;
        until(&handle, |stats| stats.hedges == 1).await;
        drop(caller);
        assert_eq!((at_rest(&handle).await.aborts, dropped.get()), (1, 2));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn calls_whose_drop_panics_hurt_nobody() {
    struct Bomb(Count);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.up();
            panic_quietly("planned");
        }
    }
    limited(async {
        let (handle, dropped, gate) = (one_aborting_shard::<i32, i32>(), Count::default(), Gate::new());
        let work = || {
            let (gone, gate, calls) = (dropped.clone(), gate.clone(), Count::default());
            move || {
                let (bomb, passed, call) = (Bomb(gone.clone()), gate.pass(), calls.up());
                async move {
                    passed.await;
                    if call == 1 {
                        pending::<()>().await;
                    }
                    std::mem::forget(bomb);
                    7
                }
            }
        };
        // Both calls are dropped together.
        let mut left = handle.join_hedged(1, Hedge::after(AFTER), work());
        assert_pending(&mut left);
        sleep(AFTER).await;
        until(&handle, |stats| stats.hedges == 1).await;
        drop(left);
        eventually(|| dropped.get() == 2).await;
        // One is, and the other has the answer.
        gate.open();
        assert_eq!(handle.join_hedged(1, Hedge::after(AFTER), work()).await, Ok(7));
        assert_eq!((at_rest(&handle).await.panics, dropped.get()), (0, 3));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_exact() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let slow = |hedge| handle.join_hedged(1, hedge, || sleep(2 * AFTER).map(|()| 1));
        let (calls, reserve) = (10_000, Hedge::RESERVE as u64);
        let hedge = Hedge::after(AFTER).budget(0.05).unwrap();
        for _ in 0..calls {
            slow(hedge).await.unwrap();
        }
        // The reserve is full at first, so what the first call earns is lost.
        let (stats, most) = (at_rest(&handle).await, reserve + (calls - 1) / 20);
        assert_eq!((stats.hedges, stats.hedges_denied), (most, calls - most));
        // Calls that are quick fill the reserve, and no more than that.
        for _ in 0..1_000 {
            handle.join_hedged(1, hedge, || async { 1 }).await.unwrap();
        }
        let none = Hedge::after(AFTER).budget(0.0).unwrap();
        for _ in 0..100 {
            slow(none).await.unwrap();
        }
        assert_eq!(at_rest(&handle).await.hedges, most + reserve);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_bypassed_join_is_hedged_too() {
    limited(async {
        let handle: Handle<i32, i32> = Coalescer::builder().shards(1).rollout(0.0).build().unwrap().handle();
        let (calls, dropped) = (Count::default(), Count::default());
        assert_eq!(handle.join_hedged(1, Hedge::after(AFTER), slow_at_first(&calls, &dropped)).await, Ok(2));
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.bypasses, stats.hedges, dropped.get()), (1, 1, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_followers_hedge_is_not_the_flights() {
    limited(async {
        let (handle, calls, gate) = (one_shard::<i32, i32>(), Count::default(), Gate::new());
        let mut leader = handle.join(1, gate.then(1));
        assert_pending(&mut leader);
        let mut follower = handle.join_hedged(1, Hedge::after(AFTER), slow_at_first(&calls, &Count::default()));
        assert_pending(&mut follower);
        advance(3 * AFTER).await;
        settle().await;
        gate.open();
        assert_eq!((leader.await, follower.await, calls.get()), (Ok(1), Ok(1), 0));
    })
    .await;
}

#[test]
fn a_budget_that_is_no_fraction_is_refused() {
    for share in [-0.1, 1.5, f64::INFINITY] {
        let refused = Hedge::after(AFTER).budget(share);
        assert_eq!(refused, Err(InvalidHedgeBudget { share }));
        assert!(refused.unwrap_err().to_string().contains(&share.to_string()));
    }
    assert!(Hedge::after(AFTER).budget(f64::NAN).is_err());
    assert_eq!(Hedge::after(AFTER).budget(0.1), Ok(Hedge::after(AFTER)));
}
