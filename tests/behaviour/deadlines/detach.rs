//! `OnExpiry::Detach`: an expired flight keeps its callers, and new joins start anew.

use shardflight::OnExpiry;
use tokio::time::advance;

use super::{SECOND, with_deadline};
use crate::support::{Gate, assert_pending, at_rest, limited, poll_once, returning, settle};

#[tokio::test(start_paused = true)]
async fn detached_callers_get_their_result_and_new_ones_start_anew() {
    limited(async {
        let handle = with_deadline(SECOND, OnExpiry::Detach);
        let (old_gate, new_gate) = (Gate::new(), Gate::new());
        let mut old = handle.join(1, old_gate.then(1));
        assert_pending(&mut old);
        settle().await;
        advance(2 * SECOND).await;
        settle().await;
        let mut new = handle.join(1, new_gate.then(2));
        assert_pending(&mut new);
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.timeouts, stats.flights), (1, 2));
        assert_eq!(stats.oldest_flight, Some(2 * SECOND));
        new_gate.open();
        assert_eq!(new.await.unwrap(), 2);
        assert!(poll_once(&mut old).is_pending());
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.flights, stats.waiters), (1, 1));
        old_gate.open();
        assert_eq!(old.await.unwrap(), 1);
        assert_eq!(at_rest(&handle).await.timeouts, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_late_result_leaves_the_next_flight_alone() {
    limited(async {
        let handle = with_deadline(SECOND, OnExpiry::Detach);
        let (early, late) = (Gate::new(), Gate::new());
        let passed = early.pass();
        let mut old = handle.join(1, move || async move {
            passed.await;
            1
        });
        assert_pending(&mut old);
        settle().await;
        advance(2 * SECOND).await;
        settle().await;
        let passed = late.pass();
        let mut new = handle.join(1, move || async move {
            passed.await;
            2
        });
        assert_pending(&mut new);
        settle().await;
        early.open();
        assert_eq!(old.await.unwrap(), 1);
        let mut follower = handle.join(1, returning(3));
        assert_pending(&mut follower);
        settle().await;
        assert!(poll_once(&mut new).is_pending() && poll_once(&mut follower).is_pending());
        late.open();
        assert_eq!((new.await.unwrap(), follower.await.unwrap()), (2, 2));
    })
    .await;
}
