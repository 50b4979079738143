//! Turns by themselves, without actors and without a crowd: the test has the shard, or puts it back.

mod calls;
mod pending;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Weak,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use tokio::task::yield_now;

use super::{
    message::{Launch, QueuedJoin, Reply},
    turn::{BATCH, MOST_OF_OTHERS},
    *,
};
use crate::{
    config::{Config, Priority},
    error::JoinError,
    shard::{Begins, Completion, FlightRef, Join, Joined, Leaves, Slot},
    sync::{now, oneshot},
    task::{self, AsyncWork, BoxedWork, ByClone, JoinKind},
    trace::recoveries::Recoveries,
};

type Numbers = Engine<u8, u8>;

fn engine() -> Arc<Numbers> {
    engine_under(&Config::default())
}

fn engine_under(config: &Config) -> Arc<Numbers> {
    engine_of([0], config)
}

/// With a shard of each of these numbers, on the current runtime.
pub(crate) fn engine_of<V: Value, const SHARDS: usize>(
    numbers: [usize; SHARDS],
    config: &Config,
) -> Arc<Engine<u8, V>> {
    let options = EngineOptions {
        runtime: Runtime::current(),
        observer: None,
        takeover_after: config.on_stall.takeover_after(),
        flight_limit: None,
        admission: None,
    };
    Arc::new(Engine::new(numbers.map(|number| Shard::new(number, config.limits())).into_iter(), options))
}

fn join<V>(key: u8) -> Join<Live<u8, V>> {
    let waker = Waker::noop().clone();
    let class = Priority::Normal;
    Join {
        hash: key.into(),
        key,
        waker,
        origin: None,
        description: None,
        in_place: false,
        fresh: false,
        limit: None,
        class,
    }
}

fn lead(engine: &Arc<Numbers>, key: u8) -> (FlightRef, Arc<Record<u8>>) {
    let joined = engine.visit(0, |state| state.shard.join(join(key), now(), &mut state.effects));
    match joined {
        Some(Joined::Leads { slot, record }) => (slot.flight, record),
        _ => panic!("the shard is in, and has no flight of {key}"),
    }
}

fn queued(key: u8) -> (Message<u8, u8>, oneshot::Receiver<Answer<u8, u8>>) {
    let (sender, reply) = oneshot::channel();
    let work = AsyncWork::<_, ByClone>::new(std::future::pending::<u8>);
    let work: Box<dyn Launch<u8, u8>> = Box::new(BoxedWork { work, leader: None });
    let reply_to = Reply::new(sender, Waker::noop().clone());
    (
        Message::Join(Box::new(QueuedJoin {
            join: join(key),
            takes: ByClone::TAKES,
            watch: None,
            is_nested: false,
            leaves_work: true,
            work,
            reply: reply_to,
        })),
        reply,
    )
}

fn stats(engine: &Arc<Numbers>) -> crate::Stats {
    engine.visit(0, State::stats).expect("the shard is in")
}

/// The shard is out for as long as `meanwhile` takes, as if another thread had it.
fn while_out<T>(engine: &Arc<Numbers>, meanwhile: impl FnOnce() -> T) -> T {
    let state = engine.ports[0].shard.take().expect("the shard is in");
    let result = meanwhile();
    assert!(engine.ports[0].shard.put(state).is_none());
    result
}

/// A waker that counts.
#[derive(Default)]
pub(crate) struct Count(pub(crate) AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Gives tasks their turns. The test's limit is a number of them.
async fn eventually(condition: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        yield_now().await;
    }
    panic!("it never came true");
}

#[tokio::test]
async fn a_shard_that_is_out_is_not_visited() {
    let engine = engine();
    let visited = while_out(&engine, || engine.visit(0, |_| ()));
    assert!(visited.is_none());
    assert!(engine.visit(0, |_| ()).is_some(), "it is back");
}

#[tokio::test]
async fn a_message_that_finds_the_shard_out_is_handled_by_the_next_visitor_before_its_own() {
    let engine = engine();
    let (message, reply) = queued(7);
    while_out(&engine, || engine.post(0, message));
    assert!(reply.try_recv().is_err(), "it waits");
    assert_eq!(stats(&engine).joins, 1, "the visitor finds what was sent before");
    assert!(matches!(reply.try_recv(), Ok(Answer::Slot { .. })));
}

#[tokio::test]
async fn a_message_sent_while_a_turn_runs_is_handled_when_the_shard_is_back() {
    let engine = engine();
    let (message, reply) = queued(7);
    engine.visit(0, |_| engine.post(0, message)).expect("the shard is in");
    assert!(matches!(reply.try_recv(), Ok(Answer::Slot { .. })));
    assert!(engine.ports[0].queue.is_empty());
}

#[tokio::test]
async fn a_turn_that_panics_loses_neither_the_shard_nor_what_waits_for_it() {
    let engine = engine();
    let (flight, record) = lead(&engine, 1);
    let (message, reply) = queued(7);
    // Before the message is handled, and after the shard has asked for something.
    for asks in [false, true] {
        let turn = |state: &mut State<u8, u8>| {
            if asks {
                state.shard.close(true, &mut state.effects);
            }
            panic!("planted");
        };
        let panicked = catch_unwind(AssertUnwindSafe(|| engine.visit(0, turn).map(|(): ()| ())));
        assert!(panicked.is_err());
    }
    engine.post(0, message);
    assert!(matches!(reply.try_recv(), Ok(Answer::Refused { error: JoinError::Closed, .. })));
    assert!(matches!(record.error(), Some(JoinError::Closed)), "what the turn left to do is done");
    assert!(engine.visit(0, |state| state.complete(flight, Completion::Value).is_none()).unwrap());
}

#[tokio::test]
async fn a_turn_that_panics_calls_the_actor() {
    let engine = engine();
    assert!(!engine.call(0).poll(Waker::noop()));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        engine.visit(0, |_| -> () { panic!("planted") });
    }));
    assert!(panicked.is_err());
    assert!(engine.call(0).poll(Waker::noop()));
}

#[tokio::test]
async fn a_queued_message_that_panics_takes_no_other_with_it_and_is_reported() {
    let (recoveries, _listening) = Recoveries::listen();
    let engine = engine_of::<u8, 3>([0, 1, 2], &Config::default());
    let (message, reply) = queued(7);
    let meanwhile = |_: &mut State<u8, u8>| {
        engine.post(2, Message::Ask(Box::new(|_| panic!("planted"))));
        engine.post(2, message);
    };
    engine.visit(2, meanwhile).expect("the shard is in");
    assert!(matches!(reply.try_recv(), Ok(Answer::Slot { .. })));
    assert_eq!(recoveries.wait_for(1).await, [(2, "planted".to_owned())]);
}

#[tokio::test]
async fn a_queued_join_that_is_lost_is_answered() {
    let engine = engine();
    let count = Arc::<Count>::default();
    let (sender, reply) = oneshot::channel::<Answer<u8, u8>>();
    drop(Reply::new(sender, Waker::from(Arc::clone(&count))));
    assert!(matches!(reply.try_recv(), Ok(Answer::Refused { error: JoinError::Closed, .. })));
    assert_eq!(count.0.load(SeqCst), 1, "its caller is woken for it");
    drop(engine);
}

#[tokio::test]
async fn a_queued_join_whose_caller_has_left_counts_nowhere() {
    let engine = engine();
    let (message, reply) = queued(7);
    while_out(&engine, || engine.post(0, message));
    drop(reply);
    let stats = stats(&engine);
    assert_eq!((stats.joins, stats.departures, stats.waiters), (0, 0, 0));
}

#[tokio::test]
async fn a_slot_that_its_caller_never_took_over_is_given_up() {
    let engine = engine();
    let (message, reply) = queued(7);
    while_out(&engine, || engine.post(0, message));
    assert_eq!(stats(&engine).waiters, 1);
    drop(reply);
    let stats = stats(&engine);
    assert_eq!((stats.waiters, stats.departures), (0, 1));
}

#[tokio::test]
async fn a_visitor_handles_a_bounded_number_of_other_callers_messages() {
    let engine = engine();
    let slot = Slot { flight: lead(&engine, 1).0, number: 9 };
    let surplus = 10;
    while_out(&engine, || {
        for _ in 0..MOST_OF_OTHERS + BATCH + surplus {
            engine.ports[0].queue.push(Message::Cancel(slot, Leaves::ByItself));
        }
    });
    assert!(engine.visit(0, |_| ()).is_none(), "its own has to wait behind them");
    let left = std::iter::from_fn(|| engine.ports[0].queue.pop()).count();
    assert_eq!(left, surplus);
    assert!(engine.call(0).poll(Waker::noop()), "the actor is called for what is left");
}

#[tokio::test]
async fn a_flight_whose_work_is_lost_is_answered() {
    let engine = engine();
    let (_, record) = lead(&engine, 1);
    drop(Completer::new(Arc::clone(&engine), Arc::clone(&record)));
    assert!(matches!(record.error(), Some(JoinError::Aborted)));
    assert_eq!(stats(&engine).flights, 0);
}

#[tokio::test]
async fn work_that_ended_while_the_shard_was_out_is_answered_when_it_is_back() {
    let engine = engine();
    let (_, record) = lead(&engine, 1);
    let completer = Completer::new(Arc::clone(&engine), Arc::clone(&record));
    assert!(while_out(&engine, || completer.complete(Ok(Output { value: 7, is_error: false }))).is_none());
    assert!(!record.is_over());
    assert_eq!(stats(&engine).flights, 0);
    assert!(matches!(record.into_value(u8::clone), Ok(7)));
}

#[tokio::test]
async fn a_waker_that_comes_too_late_by_the_queue_is_woken() {
    let engine = engine();
    let (flight, record) = lead(&engine, 1);
    let count = Arc::<Count>::default();
    while_out(&engine, || {
        let completer = Completer::new(Arc::clone(&engine), Arc::clone(&record));
        assert!(completer.complete(Ok(Output { value: 7, is_error: false })).is_none());
        let renew = Message::Renew { slot: Slot { flight, number: 0 }, waker: Arc::clone(&count).into() };
        engine.post(0, renew);
    });
    stats(&engine);
    eventually(|| count.0.load(SeqCst) > 0).await;
}

#[tokio::test]
async fn work_that_its_leader_polls_is_needed_from_the_moment_a_second_caller_shares_it() {
    let flight = lead(&engine(), 1).0;
    let record = Record::<u8>::new(flight, Begins::AtOnce, 0);
    let work = || ParkedWork::Async(AsyncWork::<_, ByClone>::new(|| async { 7 }).into_boxed());
    assert!(record.park(work()).is_none());
    assert!(record.unpark().is_some());
    // While it is being polled.
    assert!(record.share().is_none());
    assert!(matches!(record.park(work()), Some((_, Needed::AsTask))));
    let record = Record::<u8>::new(flight, Begins::AtOnce, 0);
    assert!(record.park(work()).is_none());
    assert!(record.share().is_some(), "between two polls");
    assert!(record.abort().is_none());
    assert!(matches!(record.park(work()), Some((_, Needed::Dropped))));
}

#[tokio::test]
async fn work_that_suspends_after_its_abort_is_dropped() {
    let engine = engine();
    let (_, record) = lead(&engine, 1);
    let completer = Completer::new(Arc::clone(&engine), Arc::clone(&record));
    let aborted = Arc::clone(&record);
    let work = async move {
        // Beside its own poll.
        assert!(aborted.abort().is_none());
        std::future::pending::<Result<Output<u8>, JoinError>>().await
    };
    let mut execution = Box::pin(task::execution(completer, work));
    assert!(matches!(execution.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(())));
}

#[tokio::test]
async fn a_task_adds_three_words_to_small_work() {
    let engine = engine();
    let (_, record) = lead(&engine, 1);
    let work = AsyncWork::<_, ByClone>::new(std::future::pending::<u8>).into_future();
    let execution = task::execution(Completer::new(engine, record), work);
    // One more, and Tokio allocates 256 bytes for it, not 128.
    assert!(size_of_val(&execution) <= 3 * size_of::<usize>());
}

/// Counts if the shard is in its cell when it is dropped.
struct DroppedOutside(Weak<Engine<u8, DroppedOutside>>, Arc<AtomicUsize>);

impl Drop for DroppedOutside {
    fn drop(&mut self) {
        let engine = self.0.upgrade().expect("the test has it");
        self.1.fetch_add(usize::from(engine.visit(0, |_| ()).is_some()), SeqCst);
    }
}

#[tokio::test]
async fn a_value_that_no_caller_waits_for_is_dropped_outside_of_the_turn_that_publishes_it() {
    let engine = engine_of::<DroppedOutside, 1>([0], &Config::default());
    let joined = engine.visit(0, |state| state.shard.join(join(1), now(), &mut state.effects));
    let Some(Joined::Leads { slot, record }) = joined else { panic!("it is the first") };
    assert_eq!(engine.leave(slot, Leaves::ByItself), After::GoesOn);
    let (completer, dropped) = (Completer::new(Arc::clone(&engine), record), Arc::default());
    let value = DroppedOutside(Arc::downgrade(&engine), Arc::clone(&dropped));
    let state = engine.ports[0].shard.take().expect("the shard is in");
    assert!(completer.complete(Ok(Output { value, is_error: false })).is_none());
    assert!(engine.ports[0].shard.put(state).is_none());
    assert!(engine.visit(0, |_| ()).is_some());
    eventually(|| dropped.load(SeqCst) == 1).await;
}
