//! Work that has not begun: it waits in its record until its flight begins, or is cut.

use super::*;
use crate::{config::OnAbandon, stall::OnStall};

/// Counts when it is dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Abandoned work is aborted.
fn aborting_engine() -> Arc<Numbers> {
    engine_under(&Config { on_abandon: OnAbandon::Abort, ..Config::default() })
}

/// Leads a flight of key 1 that waits for the one under way.
fn lead_behind(engine: &Arc<Numbers>) -> (FlightRef, Arc<Record<u8>>) {
    let fresh = Join { fresh: true, ..join(1) };
    match engine.visit(0, |state| state.shard.join(fresh, now(), &mut state.effects)) {
        Some(Joined::Leads { slot, record }) => (slot.flight, record),
        _ => panic!("the flight under way has no successor yet"),
    }
}

/// Work for a flight that begins later. Tells when it is gone.
fn work(gone: &Arc<AtomicUsize>) -> ParkedWork<u8> {
    let held = Dropped(Arc::clone(gone));
    let work = move || async move {
        let _held = held;
        7
    };
    ParkedWork::Async(AsyncWork::<_, ByClone>::new(work).into_boxed())
}

fn begin_later(engine: &Arc<Numbers>, record: &Arc<Record<u8>>, work: ParkedWork<u8>) {
    if let Some((unneeded, completer)) = Completer::new(Arc::clone(engine), Arc::clone(record)).begin_later(work) {
        completer.drop_first(unneeded);
    }
}

fn end(engine: &Arc<Numbers>, record: &Arc<Record<u8>>) {
    let completer = Completer::new(Arc::clone(engine), Arc::clone(record));
    assert!(completer.complete(Ok(Output { value: 1, is_error: false })).is_none());
}

/// The last caller leaves: in its own turn, or by the queue.
fn leave(engine: &Arc<Numbers>, flight: FlightRef, queued: bool) {
    let slot = Slot { flight, number: 0 };
    if queued {
        while_out(engine, || engine.post(0, Message::Cancel(slot, Leaves::ByItself)));
        stats(engine);
    } else {
        assert_eq!(engine.leave(slot, Leaves::ByItself), After::Aborted);
    }
}

#[tokio::test]
async fn work_begins_when_the_execution_before_it_has_ended() {
    let engine = engine();
    let (_, first) = lead(&engine, 1);
    let (_, record) = lead_behind(&engine);
    let gone = Arc::default();
    begin_later(&engine, &record, work(&gone));
    yield_now().await;
    assert_eq!((record.is_over(), stats(&engine).pending), (false, 2), "no work was called");
    end(&engine, &first);
    eventually(|| record.is_over()).await;
    assert_eq!((gone.load(SeqCst), stats(&engine).executions), (1, 1));
    assert!(matches!(record.into_value(u8::clone), Ok(7)));
}

#[tokio::test]
async fn work_begins_though_the_execution_before_it_has_ended_before_it_is_parked() {
    let engine = engine();
    let (_, first) = lead(&engine, 1);
    let (_, record) = lead_behind(&engine);
    end(&engine, &first);
    begin_later(&engine, &record, work(&Arc::default()));
    eventually(|| record.is_over()).await;
    assert!(matches!(record.into_value(u8::clone), Ok(7)));
}

#[tokio::test]
async fn work_of_an_abandoned_flight_is_dropped_uncalled_and_gives_its_permit_back() {
    for queued in [false, true] {
        let engine = aborting_engine();
        let (_, _first) = lead(&engine, 1);
        let (flight, record) = lead_behind(&engine);
        let gone = Arc::default();
        begin_later(&engine, &record, work(&gone));
        leave(&engine, flight, queued);
        eventually(|| gone.load(SeqCst) == 1 && stats(&engine).lingering == 0).await;
        assert!(matches!(record.error(), Some(JoinError::Aborted)));
        assert_eq!(stats(&engine).executions, 0);
    }
}

#[tokio::test]
async fn work_of_a_flight_that_was_abandoned_before_it_is_parked_is_dropped() {
    for queued in [false, true] {
        let engine = aborting_engine();
        let (_, _first) = lead(&engine, 1);
        let (flight, record) = lead_behind(&engine);
        leave(&engine, flight, queued);
        let gone = Arc::default();
        begin_later(&engine, &record, work(&gone));
        eventually(|| gone.load(SeqCst) == 1 && stats(&engine).lingering == 0).await;
        assert_eq!(stats(&engine).executions, 0);
    }
}

#[tokio::test]
async fn blocking_work_that_no_thread_has_begun_is_dropped_with_its_flight() {
    for queued in [false, true] {
        let engine = aborting_engine();
        let (flight, record) = lead(&engine, 1);
        let (gone, completer) = (Arc::default(), Completer::new(Arc::clone(&engine), Arc::clone(&record)));
        let held = Dropped(Arc::clone(&gone));
        record.offer(Box::new(move || completer.drop_first(held)));
        leave(&engine, flight, queued);
        eventually(|| gone.load(SeqCst) == 1 && stats(&engine).lingering == 0).await;
        assert!(record.claim().is_none());
    }
}

#[tokio::test]
async fn a_queued_follower_leaves_its_work_where_its_flight_may_be_taken_over() {
    let after = Duration::from_secs(1);
    let config = Config { on_stall: OnStall::Takeover { after, at_most: 1 }, ..Config::default() };
    let engine = engine_under(&config);
    let (_, record) = lead(&engine, 1);
    let post = || {
        let (message, reply) = queued(1);
        engine.post(0, message);
        reply
    };
    let replies = while_out(&engine, || [post(), post()]);
    assert_eq!(stats(&engine).coalesced, 2);
    let spares = record.spares().expect("it may be taken over");
    eventually(|| spares.claim(0).is_some()).await;
    assert!(spares.reserve().is_none(), "there is a place for one");
    drop(replies);
}
