//! Values that misbehave cost at most their own callers something (G13).

use futures::{
    executor::block_on,
    future::{join_all, ready},
};
use shardflight::{Handle, JoinError};

use crate::support::{
    Count, Gate, Wall, assert_pending, at_rest, eventually, eventually_blocking, inside, limited, one_shard,
    panic_quietly, two_workers, until, watched,
};

#[tokio::test]
async fn a_panic_in_clone_is_its_callers_alone() {
    #[derive(Debug)]
    struct Unclonable;

    impl Clone for Unclonable {
        fn clone(&self) -> Self {
            panic_quietly("in a clone")
        }
    }

    limited(async {
        let handle = one_shard::<u8, Unclonable>();
        let answers = join_all((0..10).map(|_| handle.join(1, || ready(Unclonable)))).await;
        for answer in answers {
            // The last caller may have got the value itself.
            assert!(matches!(&answer, Ok(Unclonable)) || answer.unwrap_err().to_string().contains("in a clone"));
        }
        assert!(handle.join_shared(1, || ready(Unclonable)).await.is_ok());
        let stats = at_rest(&handle).await;
        assert_eq!((stats.executions, stats.panics), (2, 0));
    })
    .await;
}

#[tokio::test]
async fn a_panic_in_clone_spares_those_who_share() {
    struct Unclonable;

    impl Clone for Unclonable {
        fn clone(&self) -> Self {
            panic_quietly("in a clone")
        }
    }

    limited(async {
        let handle = one_shard::<u8, Unclonable>();
        let (shared, cloned) =
            tokio::join!(handle.join_shared(1, || ready(Unclonable)), handle.join(1, || ready(Unclonable)),);
        assert!(matches!(cloned.err(), Some(JoinError::Panicked(_))));
        drop(shared.unwrap());
    })
    .await;
}

/// Counts that it was dropped, and panics over it.
struct DropsBadly(Count);

impl Drop for DropsBadly {
    fn drop(&mut self) {
        self.0.up();
        panic_quietly("in a drop");
    }
}

#[tokio::test]
async fn an_unwanted_value_that_panics_when_dropped_is_contained() {
    limited(async {
        let handle = one_shard::<u8, DropsBadly>();
        let (gate, dropped) = (Gate::new(), Count::default());
        let mut callers: Vec<_> = (0..100)
            .map(|key| {
                let (passed, value) = (gate.pass(), dropped.clone());
                handle.join_shared(key, move || async move {
                    passed.await;
                    DropsBadly(value)
                })
            })
            .collect();
        callers.iter_mut().for_each(assert_pending);
        until(&handle, |stats| stats.flights == 100).await;
        drop(callers);
        gate.open();
        at_rest(&handle).await;
        eventually(|| dropped.get() == 100).await;
        let value = handle.join_shared(1, move || ready(DropsBadly(dropped))).await;
        assert!(value.is_ok());
        std::mem::forget(value);
    })
    .await;
}

#[test]
fn an_unwanted_value_that_blocks_when_dropped_stalls_no_other_key() {
    struct Blocking(Option<(Wall, Count)>);

    impl Drop for Blocking {
        fn drop(&mut self) {
            if let Some((wall, dropping)) = &self.0 {
                dropping.up();
                wall.block();
            }
        }
    }

    watched(|| {
        let runtime = two_workers();
        let handle: Handle<u8, Blocking> = inside(&runtime, one_shard);
        let (wall, _opener) = Wall::new();
        let (gate, dropping) = (Gate::new(), Count::default());
        let mut leaver = {
            let (passed, dropping) = (gate.pass(), dropping.clone());
            handle.join_shared(1, move || async move {
                passed.await;
                Blocking(Some((wall, dropping)))
            })
        };
        assert_pending(&mut leaver);
        runtime.block_on(until(&handle, |stats| stats.flights == 1));
        drop(leaver);
        runtime.block_on(until(&handle, |stats| stats.waiters == 0));
        gate.open();
        eventually_blocking(|| dropping.get() == 1);
        block_on(async {
            for key in 2..50 {
                assert!(handle.join_shared(key, || ready(Blocking(None))).await.is_ok());
            }
        });
    });
}
