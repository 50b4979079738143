//! What a caller and its shard share: the caller's work on the way in, its answer on the way out.
//!
//! A oneshot that carries luggage, all of it in one allocation. The caller keeps the [`Ticket`], the shard the [`Stub`].
//! Work stays in the ticket until a shard claims it for a flight, so a follower's work never travels: its caller drops it,
//! whether with its answer or on leaving.
//!
//! Whatever a ticket holds of the user's (a subscriber's span is that, too) is dropped by its caller, or by the claim that
//! took it out. The shard's half is never the last to hold any: an answer goes in only while the caller is there, and a
//! caller that leaves empties the ticket. Nobody's code runs under the lock, which is held for a move.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tracing::Span;

use crate::{
    error::JoinError,
    host::{Mutex, Runtime, Task},
    live::{Answer, Lanes},
    panics::{catch, drop_contained},
    shard::{Caller, FlightId, FlightRef, Standing},
    sight,
};

/// What can be claimed for a flight.
pub(crate) trait Work<K: Eq, V>: Send + 'static {
    /// Starts it as a task of its own, which reports its end to the flight's shard; under a span below `leader`, if
    /// somebody listens.
    fn launch(self, leader: Option<Span>, runtime: &Runtime, lanes: Lanes<K, V>, flight: FlightRef) -> Task;
}

/// What hardly any ticket has to know.
pub(crate) struct Circumstances {
    /// The flight whose work the caller is.
    origin: Option<FlightRef>,
    /// The caller's span, if somebody listens.
    span: Option<Span>,
    /// The flight that it was answered by.
    answered_by: Option<FlightId>,
}

impl Circumstances {
    pub(crate) fn here(origin: Option<FlightRef>) -> Option<Box<Self>> {
        let span = sight::caller();
        (origin.is_some() || span.is_some()).then(|| Box::new(Self { origin, span, answered_by: None }))
    }

    pub(crate) fn is_nested(&self) -> bool {
        self.origin.is_some()
    }
}

/// The caller's half.
pub(crate) struct Ticket<K, V, W>(Arc<Shared<K, V, W>>);

/// The shard's half. Dropped without an answer, it answers `Closed` (G5).
pub(crate) struct Stub<K: Eq, V>(Option<Arc<dyn Half<K, V>>>);

/// A caller's work that belongs to a flight.
pub(crate) struct Claim<K: Eq, V>(Option<Arc<dyn Half<K, V>>>);

/// An answer, and what its caller had sent that went unused.
pub(crate) struct Arrival<K, V, W> {
    pub(crate) outcome: Result<Arc<V>, JoinError>,
    /// The flight that it is of, where somebody listens.
    pub(crate) flight: Option<FlightId>,
    pub(crate) belongings: Belongings<K, W>,
}

/// What a caller that leaves has in hand then.
pub(crate) struct Departure<K, V, W> {
    /// An answer. Without one, the shard has to be told.
    pub(crate) unread: Option<Result<Arc<V>, JoinError>>,
    pub(crate) waker: Option<Waker>,
    pub(crate) belongings: Belongings<K, W>,
}

/// What a caller takes out of its ticket in the end. Dropped one by one: of two panics in one drop, the second would end the
/// process.
pub(crate) struct Belongings<K, W> {
    key: Option<K>,
    work: Option<W>,
    /// Its last drop closes it, which is a subscriber's code.
    span: Option<Span>,
}

impl<K, W> Belongings<K, W> {
    /// Somebody else's work ran.
    pub(crate) fn is_a_followers(&self) -> bool {
        self.work.is_some()
    }
}

impl<K, W> Drop for Belongings<K, W> {
    fn drop(&mut self) {
        drop_contained(self.key.take());
        drop_contained(self.work.take());
        drop_contained(self.span.take());
    }
}

struct Shared<K, V, W>(Mutex<State<K, V, W>>);

struct State<K, V, W> {
    work: Option<W>,
    /// The work is a flight's: no caller takes it back.
    claimed: bool,
    left: bool,
    waker: Option<Waker>,
    key: Option<K>,
    outcome: Option<Result<Arc<V>, JoinError>>,
    circumstances: Option<Box<Circumstances>>,
}

impl<K, V, W> State<K, V, W> {
    /// All that is the caller's. Of its circumstances the shard may still ask for the origin.
    fn belongings(&mut self) -> Belongings<K, W> {
        let work = if self.claimed { None } else { self.work.take() };
        Belongings { key: self.key.take(), work, span: self.span() }
    }

    fn span(&mut self) -> Option<Span> {
        self.circumstances.as_mut()?.span.take()
    }
}

impl<K, V, W> Ticket<K, V, W>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
    W: Work<K, V>,
{
    /// The two halves. `waker` hears of the answer, unless the ticket is polled with another first.
    pub(crate) fn new(work: W, circumstances: Option<Box<Circumstances>>, waker: Waker) -> (Self, Stub<K, V>) {
        let state = State {
            work: Some(work),
            claimed: false,
            left: false,
            waker: Some(waker),
            key: None,
            outcome: None,
            circumstances,
        };
        let shared = Arc::new(Shared(Mutex::new(state)));
        (Self(Arc::clone(&shared)), Stub(Some(shared)))
    }
}

impl<K, V, W> Ticket<K, V, W> {
    /// Ready once.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Arrival<K, V, W>> {
        let mut renewed = None;
        loop {
            let mut state = self.0.0.lock();
            if let Some(outcome) = state.outcome.take() {
                let flight = state.circumstances.as_ref().and_then(|circumstances| circumstances.answered_by);
                let belongings = state.belongings();
                drop(state);
                drop_contained(renewed);
                return Poll::Ready(Arrival { outcome, flight, belongings });
            }
            if state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            // A waker's clone and its drop are anybody's code.
            if let Some(waker) = renewed.take() {
                let outdated = state.waker.replace(waker);
                drop(state);
                drop_contained(outdated);
                return Poll::Pending;
            }
            drop(state);
            renewed = Some(cx.waker().clone());
        }
    }

    /// Nobody hears an answer any more.
    pub(crate) fn leave(&self) -> Departure<K, V, W> {
        let mut state = self.0.0.lock();
        state.left = true;
        let (unread, waker) = (state.outcome.take(), state.waker.take());
        Departure { unread, waker, belongings: state.belongings() }
    }
}

impl<K: Eq, V> Stub<K, V> {
    /// Sends the answer off. It comes back if the caller has left.
    ///
    /// Sending wakes the caller, whose waker may be anybody's: a panic in it ends here, with the answer delivered.
    pub(crate) fn answer(mut self, answer: Answer<K, V>) -> Result<(), Answer<K, V>> {
        match self.0.take() {
            Some(half) => half.answer(answer),
            None => Err(answer),
        }
    }
}

impl<K: Eq, V> Caller for Stub<K, V> {
    type Key = K;
    type Work = Claim<K, V>;

    fn standing(&self) -> Standing {
        self.0.as_ref().map_or(Standing { left: true, origin: None }, |half| half.standing())
    }

    fn claim(&self) -> Option<Claim<K, V>> {
        let half = self.0.as_ref()?;
        half.claim().then(|| Claim(Some(Arc::clone(half))))
    }

    fn keep(&self, key: K) -> Option<K> {
        match &self.0 {
            Some(half) => half.keep(key),
            None => Some(key),
        }
    }
}

impl<K: Eq, V> Drop for Stub<K, V> {
    fn drop(&mut self) {
        if let Some(half) = self.0.take() {
            // Whoever has left doesn't miss it.
            let _ = half.answer(Answer::closed());
        }
    }
}

impl<K: Eq, V> Claim<K, V> {
    pub(crate) fn launch(mut self, runtime: &Runtime, lanes: Lanes<K, V>, flight: FlightRef) -> Option<Task> {
        self.0.take()?.launch(runtime, lanes, flight)
    }
}

impl<K: Eq, V> Drop for Claim<K, V> {
    fn drop(&mut self) {
        if let Some(half) = self.0.take() {
            half.drop_work();
        }
    }
}

/// A ticket whose work's type is forgotten.
trait Half<K, V>: Send + Sync {
    fn standing(&self) -> Standing;
    fn claim(&self) -> bool;
    fn launch(&self, runtime: &Runtime, lanes: Lanes<K, V>, flight: FlightRef) -> Option<Task>
    where
        K: Eq;
    fn drop_work(&self);
    fn keep(&self, key: K) -> Option<K>;
    fn answer(&self, answer: Answer<K, V>) -> Result<(), Answer<K, V>>;
}

impl<K, V, W> Half<K, V> for Shared<K, V, W>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
    W: Work<K, V>,
{
    fn standing(&self) -> Standing {
        let state = self.0.lock();
        let origin = state.circumstances.as_ref().and_then(|circumstances| circumstances.origin);
        Standing { left: state.left, origin }
    }

    fn claim(&self) -> bool {
        let mut state = self.0.lock();
        state.claimed = !state.left;
        state.claimed
    }

    fn launch(&self, runtime: &Runtime, lanes: Lanes<K, V>, flight: FlightRef) -> Option<Task> {
        let (work, leader) = {
            let mut state = self.0.lock();
            let leader = state.span();
            (state.work.take()?, leader)
        };
        Some(work.launch(leader, runtime, lanes, flight))
    }

    fn drop_work(&self) {
        let work = self.0.lock().work.take();
        drop_contained(work);
    }

    fn keep(&self, key: K) -> Option<K> {
        let mut state = self.0.lock();
        if state.left {
            return Some(key);
        }
        state.key = Some(key);
        None
    }

    fn answer(&self, answer: Answer<K, V>) -> Result<(), Answer<K, V>> {
        let mut state = self.0.lock();
        if state.left {
            return Err(answer);
        }
        let Answer { outcome, flight, key } = answer;
        state.outcome = Some(outcome);
        if let Some(circumstances) = &mut state.circumstances {
            circumstances.answered_by = flight;
        }
        // A follower has its key already.
        if key.is_some() {
            state.key = key;
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            // The panic hook has reported it, and the caller has its answer.
            let _ = catch(|| waker.wake());
        }
        Ok(())
    }
}

#[cfg(test)]
#[cfg(not(shardflight_shuttle))]
mod tests {
    use std::{
        future::pending,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::*;
    use crate::work::{AsyncWork, Unjudged};

    /// Counts its drops, and panics in each.
    struct Hostile(Arc<AtomicUsize>);

    impl Drop for Hostile {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            panic!("a hostile drop");
        }
    }

    impl PartialEq for Hostile {
        fn eq(&self, _: &Self) -> bool {
            true
        }
    }

    impl Eq for Hostile {}

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
        let work: Box<dyn Errand> = Box::new(Held(Hostile(Arc::clone(&drops))));
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
        assert!(caller.keep(Hostile(Arc::clone(&drops))).is_none());
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
        let key = caller.keep(Hostile(Arc::clone(&drops)));
        assert!(key.is_some());
        drop_contained(key);
        assert!(caller.answer(Answer::closed()).is_err());
    }
}
