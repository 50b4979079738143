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

#[cfg(all(test, not(shardflight_shuttle)))]
mod tests;
