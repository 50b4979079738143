//! Subscribers that panic harm neither shards nor callers (G13). Each test is a process of its own, as those of `tracing`.

use std::{
    future::pending,
    panic::{AssertUnwindSafe, catch_unwind},
};

use futures::future::join_all;
use shardflight::{Coalescer, Handle, JoinError, RunWork};
use tracing::{
    Event, Instrument, Metadata, Subscriber, info_span,
    span::{Attributes, Id, Record},
    subscriber::{Interest, set_default, with_default},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry,
};

use crate::{
    events::{COMPLETED, read},
    support::{assert_pending, at_rest, in_a_child_process, one_shard, panic_quietly, poll_once, returning},
};

/// Panics when asked whether it wants an event of the crate's.
struct PanicsWhenAsked;

impl<S: Subscriber> Layer<S> for PanicsWhenAsked {
    // Or tracing asks once for all events, and the panic is tracing's own.
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

/// Panics at the crate's events with that message, or at all of them.
struct PanicsAt(Option<&'static str>);

impl<S: Subscriber> Layer<S> for PanicsAt {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(fields) = read(event) else { return };
        if self.0.is_none_or(|message| fields["message"] == message) {
            panic_quietly("a broken subscriber");
        }
    }
}

/// A subscriber whose clones of the crate's spans panic.
struct PanicsInClone;

impl Subscriber for PanicsInClone {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        Id::from_u64(if attributes.metadata().target() == "shardflight" { 1 } else { 2 })
    }

    fn clone_span(&self, id: &Id) -> Id {
        if *id == Id::from_u64(1) {
            panic_quietly("a broken subscriber");
        }
        id.clone()
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn a_panic_as_a_leader_begins_its_own_work_ends_its_flight() {
    in_a_child_process("hostile_subscribers::a_panic_as_a_leader_begins_its_own_work_ends_its_flight", || async {
        let coalescer = Coalescer::builder().shards(1).run_work(RunWork::InPlace).build().unwrap();
        let handle: Handle<i32, i32> = coalescer.handle();
        let mut leader = handle.join(1, returning(7));
        let polled = with_default(PanicsInClone, || catch_unwind(AssertUnwindSafe(|| poll_once(&mut leader))));
        assert!(polled.is_err(), "the leader's own");
        let stats = at_rest(&handle).await;
        assert_eq!(stats.aborts, 1);
        assert_eq!(handle.join(1, returning(8)).await.unwrap(), 8);
    });
}

#[test]
fn a_panic_when_asked_is_contained() {
    in_a_child_process("hostile_subscribers::a_panic_when_asked_is_contained", || async {
        let _subscriber = set_default(registry().with(PanicsWhenAsked));
        assert_eq!(one_shard::<i32, i32>().join(1, returning(7)).await.unwrap(), 7);
    });
}

#[test]
fn a_panic_as_work_starts_is_contained() {
    in_a_child_process("hostile_subscribers::a_panic_as_work_starts_is_contained", || async {
        let _subscriber = set_default(registry().with(PanicsAt(None)));
        let join = one_shard::<i32, i32>().join(1, returning(7)).instrument(info_span!("leader"));
        assert_eq!(join.await.unwrap(), 7);
    });
}

#[test]
fn a_panic_in_a_follower_is_contained() {
    in_a_child_process("hostile_subscribers::a_panic_in_a_follower_is_contained", || async {
        let _subscriber = set_default(registry().with(PanicsAt(None)));
        let handle = one_shard::<i32, i32>();
        for answer in join_all((0..3).map(|_| handle.join(1, returning(7)))).await {
            assert_eq!(answer.unwrap(), 7);
        }
    });
}

#[test]
fn a_panic_at_a_completion_is_contained() {
    in_a_child_process("hostile_subscribers::a_panic_at_a_completion_is_contained", || async {
        let _subscriber = set_default(registry().with(PanicsAt(Some(COMPLETED))));
        let handle = one_shard::<i32, i32>();
        for key in 0..10 {
            assert_eq!(handle.join(key, returning(key)).await.unwrap(), key);
        }
        at_rest(&handle).await;
    });
}

#[test]
fn panics_at_every_event_are_contained() {
    in_a_child_process("hostile_subscribers::panics_at_every_event_are_contained", || async {
        tokio::time::pause();
        let _subscriber = set_default(registry().with(PanicsAt(None)));
        let builder = Coalescer::<i32, i32>::builder().shards(1).crowd_threshold(1).max_waiters_per_flight(5);
        let handle = builder.build().unwrap().handle();
        for key in 0..10 {
            assert_eq!(handle.join(key, returning(7)).await.unwrap(), 7);
        }
        at_rest(&handle).await;
        assert!(matches!(handle.join(1, pending).await, Err(JoinError::TimedOut { .. })));
        let mut callers: Vec<_> = (0..5).map(|_| handle.join(1, pending)).collect();
        callers.iter_mut().for_each(assert_pending);
        assert!(matches!(handle.join(1, pending).await, Err(JoinError::TooManyWaiters { limit: 5 })));
        drop(callers);
        handle.forget(1).await.unwrap();
        assert_eq!(handle.join(1, returning(7)).await.unwrap(), 7);
    });
}
