//! Work runs under a span of its flight's, below the span of its leader, whatever task it runs in. Each test is a process of
//! its own: whether a span is wanted is remembered for the whole process, and other tests have no subscriber.

use std::sync::{Arc, Mutex};

use futures::future::{Ready, pending, ready};
use tracing::{Instrument, Span, Subscriber, info_span, span, subscriber::set_default};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt},
    registry,
    registry::LookupSpan,
};

use crate::support::{Gate, in_a_child_process, one_shard, settle};

/// The names of the spans we are in, from the inside out.
fn here() -> String {
    let names = Span::current().with_subscriber(|(id, subscriber)| {
        let registry = subscriber.downcast_ref::<Registry>().expect("the subscriber of these tests");
        let spans = registry.span(id).expect("a span that is open").scope();
        spans.map(|span| span.name()).collect::<Vec<_>>().join(" in ")
    });
    names.unwrap_or_default()
}

/// Takes down the names of the spans that are closed.
#[derive(Clone, Default)]
struct Closed(Arc<Mutex<Vec<&'static str>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Closed {
    fn on_close(&self, id: span::Id, context: Context<'_, S>) {
        self.0.lock().unwrap().extend(context.span(&id).map(|span| span.name()));
    }
}

#[test]
fn a_caller_that_leaves_takes_its_span_along() {
    in_a_child_process("spans::a_caller_that_leaves_takes_its_span_along", || async {
        let closed = Closed::default();
        let _subscriber = set_default(registry().with(closed.clone()));
        let handle = one_shard::<u8, u8>();
        let staying: Vec<_> = (0..4).map(|_| tokio::spawn(handle.join(1, pending))).collect();
        let leaving = tokio::spawn(handle.join(1, pending).instrument(info_span!("leaving")));
        settle().await;
        leaving.abort();
        assert!(leaving.await.unwrap_err().is_cancelled());
        assert_eq!(*closed.0.lock().unwrap(), ["leaving"], "one of five isn't looked for, and must not hold on");
        staying.iter().for_each(tokio::task::JoinHandle::abort);
    });
}

#[test]
fn work_runs_under_the_span_of_its_leader() {
    in_a_child_process("spans::work_runs_under_the_span_of_its_leader", || async {
        let _subscriber = set_default(registry());
        let handle = one_shard::<u8, [String; 3]>();
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
        assert_eq!(leader.unwrap(), ["flight in leader"; 3]);
        assert_eq!(follower.unwrap(), ["flight in leader"; 3]);
    });
}

#[test]
fn work_stays_under_the_span_of_a_leader_that_has_left() {
    in_a_child_process("spans::work_stays_under_the_span_of_a_leader_that_has_left", || async {
        let _subscriber = set_default(registry());
        let handle = one_shard::<u8, String>();
        let gate = Gate::new();
        let passed = gate.pass();
        let leader = tokio::spawn(
            handle
                .join(1, move || async move {
                    passed.await;
                    here()
                })
                .instrument(info_span!("leader")),
        );
        settle().await;
        let follower = tokio::spawn(handle.join(1, || ready("its own".to_owned())));
        settle().await;
        leader.abort();
        settle().await;
        gate.open();
        assert_eq!(follower.await.unwrap().unwrap(), "flight in leader");
    });
}

#[test]
fn the_span_is_that_of_the_first_poll() {
    in_a_child_process("spans::the_span_is_that_of_the_first_poll", || async {
        let _subscriber = set_default(registry());
        let handle = one_shard::<u8, String>();
        let join = info_span!("where it was made").in_scope(|| handle.join(1, || async { here() }));
        assert_eq!(join.instrument(info_span!("where it was polled")).await.unwrap(), "flight in where it was polled");
    });
}

#[test]
fn work_of_a_leader_without_a_span_runs_under_its_flights_alone() {
    in_a_child_process("spans::work_of_a_leader_without_a_span_runs_under_its_flights_alone", || async {
        let _subscriber = set_default(registry());
        let handle = one_shard::<u8, String>();
        let follower = handle.join(1, || -> Ready<String> { unreachable!("a follower's") });
        let answers = tokio::join!(handle.join(1, || async { here() }), follower.instrument(info_span!("follower")));
        assert_eq!((answers.0.unwrap().as_str(), answers.1.unwrap().as_str()), ("flight", "flight"));
    });
}
