//! Corners where two controls, or a control and somebody else's code, meet.

use std::{future::pending, time::Duration};

use crate::support::{Wall, embark, inside, limited, one_shard, two_workers, watched};
use futures::{executor::block_on, future::ready};
use shardflight::{Coalescer, Handle, JoinError};
use tokio::runtime;

/// A key that holds its shard in `Eq` while told to.
#[derive(Clone)]
struct Holds(i32, Option<Wall>);

impl PartialEq for Holds {
    fn eq(&self, other: &Self) -> bool {
        [self, other].into_iter().filter_map(|key| key.1.as_ref()).for_each(Wall::block);
        self.0 == other.0
    }
}
impl Eq for Holds {}
impl std::hash::Hash for Holds {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[test]
fn a_question_beside_work_that_blocks_its_thread_holds_nobody_up() {
    watched(|| {
        let runtime = two_workers();
        let handle: Handle<Holds, i32> = inside(&runtime, one_shard);
        let (wall, opener) = Wall::new();
        let (work, _opener) = Wall::new();
        let mut first = handle.join(Holds(1, None), pending);
        embark(&mut first);
        block_on(handle.stats()).unwrap();
        let mut held = handle.join(Holds(1, Some(wall)), pending);
        embark(&mut held);
        let mut blocking = handle.join(Holds(2, None), move || async move {
            work.block();
            2
        });
        embark(&mut blocking);
        let mut question = Box::pin(handle.stats());
        embark(&mut question);
        drop(opener);
        block_on(question).unwrap();
        assert_eq!(block_on(handle.join(Holds(3, None), || ready(3))).unwrap(), 3);
    });
}

#[test]
fn a_shutdown_has_its_deadline_on_a_runtime_without_timers_too() {
    watched(|| {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let coalescer =
            inside(&runtime, || Coalescer::<i32, i32>::builder().shards(1).no_flight_deadline().build().unwrap());
        let mut flying = coalescer.handle().join(1, pending);
        embark(&mut flying);
        assert_eq!(block_on(coalescer.shutdown(Duration::from_millis(10))).cut, 1);
    });
}

#[tokio::test]
async fn bypassed_joins_are_closed_after_a_shutdown_too() {
    limited(async {
        let coalescer = Coalescer::<i32, i32>::builder().rollout(0.0).build().unwrap();
        coalescer.shutdown(Duration::ZERO).await;
        assert!(matches!(coalescer.handle().join(1, || ready(7)).await, Err(JoinError::Closed)));
    })
    .await;
}
