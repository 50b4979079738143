//! What comes back to whom, and who drops what.

use std::{
    future::pending,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::*;
use crate::{
    panics::hostile::Hostile,
    work::{AsyncWork, Unjudged},
};

type Sent = (Ticket<Hostile, u8, Box<dyn Errand>>, Stub<Hostile, u8>, Arc<AtomicUsize>);

/// Work that holds something hostile.
trait Errand: Send {}
struct Held(#[expect(dead_code, reason = "it is there to be dropped")] Hostile);
impl Errand for Held {}

impl Work<Hostile, u8> for Box<dyn Errand> {
    fn launch(self, _: Option<Span>, runtime: &Runtime, _: Lanes<Hostile, u8>, _: FlightRef) -> Task {
        drop_contained(self);
        runtime.spawn(pending::<()>()).abort_handle()
    }
}

fn sent() -> Sent {
    let drops = Arc::default();
    let work: Box<dyn Errand> = Box::new(Held(Hostile::new(&drops)));
    let (ticket, caller) = Ticket::new(work, None, Waker::noop().clone());
    (ticket, caller, drops)
}

fn arrived<K, V, W>(ticket: &Ticket<K, V, W>) -> Arrival<K, V, W> {
    match ticket.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(arrival) => arrival,
        Poll::Pending => panic!("it would wait for ever"),
    }
}

#[test]
fn a_caller_whose_shard_loses_it_is_told_closed() {
    let work = AsyncWork::<_, Unjudged>::new(pending::<u8>);
    let (ticket, caller) = Ticket::<u8, u8, _>::new(work, None, Waker::noop().clone());
    drop(caller);
    assert!(matches!(arrived(&ticket).outcome, Err(JoinError::Closed)));
}

#[test]
fn a_followers_work_and_key_come_back_with_its_answer_and_are_dropped_one_by_one() {
    let (ticket, caller, drops) = sent();
    assert!(caller.keep(Hostile::new(&drops)).is_none());
    assert!(caller.answer(Answer::closed()).is_ok());
    let arrival = arrived(&ticket);
    assert!(arrival.belongings.is_a_followers());
    assert_eq!(drops.load(Ordering::Relaxed), 0);
    drop(arrival);
    assert_eq!(drops.load(Ordering::Relaxed), 2);
}

#[test]
fn a_leaders_work_stays_with_its_claim_which_drops_it() {
    let (ticket, caller, drops) = sent();
    let claim = caller.claim().expect("it is there");
    assert!(caller.answer(Answer::closed()).is_ok());
    assert!(!arrived(&ticket).belongings.is_a_followers());
    assert_eq!(drops.load(Ordering::Relaxed), 0);
    drop(claim);
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_claim_is_launched_once() {
    let (_ticket, caller, drops) = sent();
    let flight = FlightRef { hash: 7, id: FlightId::first_of(0) };
    let claim = caller.claim().expect("it is there");
    let task = claim.launch(&Runtime::current(), Lanes::new(1, None), flight);
    task.expect("its work is there").abort();
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}

#[test]
fn who_is_nested_says_so_with_or_without_a_span() {
    let origin = Some(FlightRef { hash: 7, id: FlightId::first_of(0) });
    assert!(Circumstances::here(origin).is_some_and(|here| here.is_nested()));
    assert!(Circumstances::here(None).is_none());
    assert!(!Circumstances { origin: None, span: Some(Span::none()), answered_by: None }.is_nested());
}

#[tokio::test]
async fn a_claim_takes_its_callers_span_along() {
    struct Listens;
    impl Work<u8, u8> for Listens {
        fn launch(self, leader: Option<Span>, runtime: &Runtime, _: Lanes<u8, u8>, _: FlightRef) -> Task {
            assert!(leader.is_some());
            runtime.spawn(pending::<()>()).abort_handle()
        }
    }
    let circumstances = Circumstances { origin: None, span: Some(Span::none()), answered_by: None };
    let (_ticket, caller) = Ticket::new(Listens, Some(Box::new(circumstances)), Waker::noop().clone());
    let flight = FlightRef { hash: 7, id: FlightId::first_of(0) };
    let claim = caller.claim().expect("it is there");
    claim.launch(&Runtime::current(), Lanes::new(1, None), flight).expect("its work is there").abort();
}

#[test]
fn a_caller_that_has_left_gives_nothing_and_takes_nothing() {
    let (ticket, caller, drops) = sent();
    drop(ticket.leave());
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    assert!(caller.has_left() && caller.claim().is_none());
    let key = caller.keep(Hostile::new(&drops));
    assert!(key.is_some());
    drop_contained(key);
    assert!(caller.answer(Answer::closed()).is_err());
}
