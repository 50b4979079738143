//! Corners where two controls, or a control and somebody else's code, meet.

use std::{
    fmt::Debug,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{
    executor::block_on,
    future::{join_all, ready},
};
use shardflight::{Coalescer, Handle, JoinError};
use tokio::runtime;
use tracing::{
    Event, Instrument, Metadata, Subscriber,
    field::Field,
    info_span,
    subscriber::{Interest, set_default},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry,
};

use crate::support::{Wall, embark, in_a_child_process, limited, one_shard, panic_quietly, two_workers, watched};

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
        let handle: Handle<Holds, i32> = {
            let _inside = runtime.enter();
            one_shard()
        };
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
        let coalescer = {
            let _inside = runtime.enter();
            Coalescer::<i32, i32>::builder().shards(1).no_flight_deadline().build().unwrap()
        };
        let mut flying = coalescer.handle().join(1, pending);
        embark(&mut flying);
        assert_eq!(block_on(coalescer.shutdown(Duration::from_millis(10))).cut, 1);
    });
}

#[derive(Clone, Default)]
struct Names(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Names {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut |_: &Field, value: &dyn Debug| self.0.lock().unwrap().push(format!("{value:?}")));
    }
}

impl Names {
    fn said(&self, what: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|said| said.contains(what)).count()
    }
}

#[test]
fn a_flight_of_a_leader_without_a_span_is_told_to_start() {
    in_a_child_process("controls::corners::a_flight_of_a_leader_without_a_span_is_told_to_start", || async {
        let names = Names::default();
        let _subscriber = set_default(registry().with(names.clone()));
        one_shard::<i32, i32>().join(1, || ready(7)).await.unwrap();
        assert_eq!((names.said("flight started"), names.said("flight landed")), (1, 1));
    });
}

#[test]
fn bypassed_work_is_no_flight_and_none_is_told_to_start() {
    in_a_child_process("controls::corners::bypassed_work_is_no_flight_and_none_is_told_to_start", || async {
        let names = Names::default();
        let _subscriber = set_default(registry().with(names.clone()));
        let handle = one_shard::<i32, i32>();
        handle.set_enabled(false);
        handle.join(1, || ready(7)).instrument(info_span!("caller")).await.unwrap();
        assert_eq!(names.said("flight"), 0);
    });
}

/// Panics where it is asked whether it wants to hear.
struct Hesitates;
impl<S: Subscriber> Layer<S> for Hesitates {
    // Or it would be asked once and for all, and its panic be tracing's own.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        if metadata.target() == "shardflight" {
            panic_quietly("a broken subscriber");
        }
        true
    }
}

struct Breaks;
impl<S: Subscriber> Layer<S> for Breaks {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "shardflight" {
            panic_quietly("a broken subscriber");
        }
    }
}

#[test]
fn a_subscriber_that_panics_when_asked_harms_nobody() {
    in_a_child_process("controls::corners::a_subscriber_that_panics_when_asked_harms_nobody", || async {
        let _subscriber = set_default(registry().with(Hesitates));
        assert_eq!(one_shard::<i32, i32>().join(1, || ready(7)).await.unwrap(), 7);
    });
}

#[test]
fn a_subscriber_that_panics_as_work_starts_harms_nobody() {
    in_a_child_process("controls::corners::a_subscriber_that_panics_as_work_starts_harms_nobody", || async {
        let _subscriber = set_default(registry().with(Breaks));
        let join = one_shard::<i32, i32>().join(1, || ready(7)).instrument(info_span!("leader"));
        assert_eq!(join.await.unwrap(), 7);
    });
}

#[test]
fn a_subscriber_that_panics_in_a_follower_harms_nobody() {
    in_a_child_process("controls::corners::a_subscriber_that_panics_in_a_follower_harms_nobody", || async {
        let _subscriber = set_default(registry().with(Breaks));
        let handle = one_shard::<i32, i32>();
        for answer in join_all((0..3).map(|_| handle.join(1, || ready(7)))).await {
            assert_eq!(answer.unwrap(), 7);
        }
    });
}

#[test]
fn a_threshold_of_one_is_met_by_the_leader_alone() {
    in_a_child_process("controls::corners::a_threshold_of_one_is_met_by_the_leader_alone", || async {
        let names = Names::default();
        let _subscriber = set_default(registry().with(names.clone()));
        let handle = Coalescer::<i32, i32>::builder().shards(1).crowd_threshold(1).build().unwrap().handle();
        handle.join(1, || ready(7)).await.unwrap();
        assert_eq!(names.said("flight crowded"), 1);
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
