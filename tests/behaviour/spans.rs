//! Work runs in a span of its flight's, which follows from its callers' spans and holds none of them open. Each test is a
//! process of its own: whether a span is wanted is remembered for the whole process, and other tests have no subscriber.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use futures::future::{Ready, pending, ready};
use shardflight::{Coalescer, Handle, RunWork};
use tracing::{Instrument, Span, Subscriber, dispatcher, info_span, span, subscriber::set_default};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt},
    registry,
    registry::LookupSpan,
};

use crate::{
    busy_shard::{BusyShard, SlowKey},
    support::{
        Count, Gate, Wall, assert_pending, eventually, in_a_child_process, inside, one_shard, returning, settle,
        two_workers, until,
    },
};

/// The names of the spans we are in, from the inside out.
fn here() -> String {
    let names = Span::current().with_subscriber(|(id, subscriber)| {
        let registry = subscriber.downcast_ref::<Registry>().expect("the subscriber of these tests");
        let spans = registry.span(id).expect("a span that is open").scope();
        spans.map(|span| span.name()).collect::<Vec<_>>().join(" in ")
    });
    names.unwrap_or_default()
}

/// Takes down the names of the spans that are closed, and which span follows from which.
#[derive(Clone, Default)]
struct Spans {
    closed: Arc<Mutex<Vec<&'static str>>>,
    follows: Arc<Mutex<BTreeSet<(&'static str, &'static str)>>>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_close(&self, id: span::Id, context: Context<'_, S>) {
        self.closed.lock().unwrap().extend(context.span(&id).map(|span| span.name()));
    }

    fn on_follows_from(&self, span: &span::Id, follows: &span::Id, context: Context<'_, S>) {
        let name = |id| context.span(id).expect("a span that is open").name();
        self.follows.lock().unwrap().insert((name(span), name(follows)));
    }
}

impl Spans {
    fn closed(&self) -> Vec<&'static str> {
        self.closed.lock().unwrap().clone()
    }

    fn follow_each_other(&self) -> Vec<(&'static str, &'static str)> {
        self.follows.lock().unwrap().iter().copied().collect()
    }
}

#[test]
fn a_caller_that_leaves_takes_its_span_along() {
    in_a_child_process("spans::a_caller_that_leaves_takes_its_span_along", || async {
        let spans = Spans::default();
        let _subscriber = set_default(registry().with(spans.clone()));
        let handle = one_shard::<i32, i32>();
        let staying: Vec<_> = (0..4).map(|_| tokio::spawn(handle.join(1, pending))).collect();
        let leaving = tokio::spawn(handle.join(1, pending).instrument(info_span!("leaving")));
        settle().await;
        leaving.abort();
        assert!(leaving.await.unwrap_err().is_cancelled());
        assert_eq!(spans.closed(), ["leaving"], "one of five isn't looked for, and must not hold on");
        staying.iter().for_each(tokio::task::JoinHandle::abort);
    });
}

fn running(run_work: RunWork) -> Handle<i32, String> {
    Coalescer::builder().shards(1).run_work(run_work).build().unwrap().handle()
}

async fn a_leader_leaves_and_its_span_closes(run_work: RunWork) {
    let spans = Spans::default();
    let _subscriber = set_default(registry().with(spans.clone()));
    let (handle, gate) = (running(run_work), Gate::new());
    let passed = gate.pass();
    let work = move || async move {
        let before = here();
        passed.await;
        format!("{before}, {}", here())
    };
    let leader = tokio::spawn(handle.join(1, work).instrument(info_span!("leader")));
    settle().await;
    let follower = tokio::spawn(handle.join(1, || ready("its own".to_owned())));
    settle().await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    assert_eq!(spans.closed(), ["leader"]);
    gate.open();
    assert_eq!(follower.await.unwrap().unwrap(), "flight, flight");
    settle().await;
    assert_eq!(spans.closed(), ["leader", "flight"]);
}

#[test]
fn the_span_of_a_leader_closes_when_it_leaves_its_flight() {
    in_a_child_process("spans::the_span_of_a_leader_closes_when_it_leaves_its_flight", || {
        a_leader_leaves_and_its_span_closes(RunWork::Detached)
    });
}

#[test]
fn the_span_of_a_leader_that_polled_its_work_closes_when_it_leaves() {
    in_a_child_process("spans::the_span_of_a_leader_that_polled_its_work_closes_when_it_leaves", || {
        a_leader_leaves_and_its_span_closes(RunWork::InPlace)
    });
}

#[test]
fn the_span_of_a_leader_closes_while_its_work_has_not_begun() {
    in_a_child_process("spans::the_span_of_a_leader_closes_while_its_work_has_not_begun", || async {
        let spans = Spans::default();
        let _subscriber = set_default(registry().with(spans.clone()));
        let handle = running(RunWork::Detached);
        {
            let mut leader = handle.join(1, || ready(here()));
            info_span!("leader").in_scope(|| assert_pending(&mut leader));
        }
        assert_eq!(spans.closed(), ["leader"]);
        assert_eq!(handle.join(1, || ready("its own".to_owned())).await.unwrap(), "flight");
    });
}

#[test]
fn the_span_of_a_thread_that_gives_up_closes_while_its_work_runs() {
    in_a_child_process("spans::the_span_of_a_thread_that_gives_up_closes_while_its_work_runs", || async {
        let spans = Spans::default();
        dispatcher::set_global_default(registry().with(spans.clone()).into()).unwrap();
        let handle = running(RunWork::Detached);
        let (wall, opener) = Wall::new();
        let gives_up = {
            let handle = handle.with_max_wait(Duration::ZERO);
            let work = move || {
                wall.block();
                here()
            };
            thread::spawn(move || info_span!("leader").in_scope(|| handle.blocking_join(1, work).unwrap_err()))
        };
        eventually(|| gives_up.is_finished()).await;
        assert_eq!(spans.closed(), ["leader"]);
        let follower = tokio::spawn(handle.join(1, || ready("its own".to_owned())));
        settle().await;
        drop(opener);
        assert_eq!(follower.await.unwrap().unwrap(), "flight");
        eventually(|| spans.closed() == ["leader", "flight"]).await;
    });
}

#[test]
fn work_runs_in_the_span_of_its_flight() {
    in_a_child_process("spans::work_runs_in_the_span_of_its_flight", || async {
        let spans = Spans::default();
        let _subscriber = set_default(registry().with(spans.clone()));
        let handle = one_shard::<i32, [String; 3]>();
        let work = || {
            let called = here();
            async move {
                let started = here();
                tokio::task::yield_now().await;
                [called, started, here()]
            }
        };
        let leader = handle.join(1, work).instrument(info_span!("leader"));
        let follower = handle.join(1, work).instrument(info_span!("follower"));
        let (leader, follower) = tokio::join!(leader, follower);
        assert_eq!(leader.unwrap(), ["flight"; 3]);
        assert_eq!(follower.unwrap(), ["flight"; 3]);
        assert_eq!(spans.follow_each_other(), [("flight", "follower"), ("flight", "leader")]);
    });
}

#[test]
fn work_in_place_runs_in_the_span_of_its_flight_inside_of_its_leaders() {
    in_a_child_process("spans::work_in_place_runs_in_the_span_of_its_flight_inside_of_its_leaders", || async {
        let spans = Spans::default();
        let _subscriber = set_default(registry().with(spans.clone()));
        let handle = running(RunWork::InPlace);
        let leader = handle.join(1, || async { here() }).instrument(info_span!("leader"));
        assert_eq!(leader.await.unwrap(), "flight");
        assert_eq!(spans.follow_each_other(), [("flight", "leader")]);
        assert_eq!(spans.closed(), ["flight", "leader"]);
    });
}

#[test]
fn a_flight_whose_join_was_queued_follows_from_its_callers() {
    in_a_child_process("spans::a_flight_whose_join_was_queued_follows_from_its_callers", || async {
        let spans = Spans::default();
        dispatcher::set_global_default(registry().with(spans.clone()).into()).unwrap();
        let runtime = two_workers();
        let handle = inside(&runtime, one_shard::<SlowKey, i32>);
        let busy = BusyShard::of(&handle);
        let gate = Gate::new();
        let ran = Count::default();
        let (passed, runs) = (gate.pass(), ran.clone());
        let mut leader = handle.join(SlowKey::new(1), move || async move {
            runs.up();
            passed.await;
            7
        });
        let mut follower = handle.join(SlowKey::new(1), returning(0));
        info_span!("leader").in_scope(|| assert_pending(&mut leader));
        info_span!("follower").in_scope(|| assert_pending(&mut follower));
        busy.free();
        until(&handle, |stats| stats.waiters == 2).await;
        eventually(|| ran.get() == 1).await;
        assert_eq!(spans.closed().iter().filter(|name| **name == "leader").count(), 1, "while the work runs");
        info_span!("the follower's second").in_scope(|| assert_pending(&mut follower));
        gate.open();
        assert_eq!((leader.await.unwrap(), follower.await.unwrap()), (7, 7));
        assert!(spans.follow_each_other().contains(&("flight", "leader")));
        assert!(spans.follow_each_other().contains(&("flight", "the follower's second")));
        runtime.shutdown_background();
    });
}

#[test]
fn the_span_is_that_of_the_first_poll() {
    in_a_child_process("spans::the_span_is_that_of_the_first_poll", || async {
        let spans = Spans::default();
        let _subscriber = set_default(registry().with(spans.clone()));
        let handle = one_shard::<i32, i32>();
        let join = info_span!("where it was made").in_scope(|| handle.join(1, returning(7)));
        assert_eq!(join.instrument(info_span!("where it was polled")).await.unwrap(), 7);
        assert_eq!(spans.follow_each_other(), [("flight", "where it was polled")]);
    });
}

#[test]
fn work_of_a_leader_without_a_span_runs_in_its_flights() {
    in_a_child_process("spans::work_of_a_leader_without_a_span_runs_in_its_flights", || async {
        let _subscriber = set_default(registry());
        let handle = one_shard::<i32, String>();
        let follower = handle.join(1, || -> Ready<String> { unreachable!("a follower's") });
        let answers = tokio::join!(handle.join(1, || async { here() }), follower.instrument(info_span!("follower")));
        assert_eq!((answers.0.unwrap().as_str(), answers.1.unwrap().as_str()), ("flight", "flight"));
    });
}
