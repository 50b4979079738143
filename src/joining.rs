//! The caller's side of a join: lazy, and safe to drop at any moment (G2).

use std::{
    fmt,
    hash::{BuildHasher, Hash},
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use crate::{
    error::JoinError,
    live::{Key, LiveLane, Value, post},
    panics::drop_contained,
    patience::Patience,
    router::{Domain, Router, Seat},
    shard::{self, Message},
    sight,
    ticket::{Arrival, Circumstances, Departure, Ticket},
    watch::Ending,
    work::{self, AsyncWork, InPlace, Judge},
};

/// What every joining future is underneath. `J` tells whether a value is the work's own error.
pub(crate) struct Joining<K, V, F, J, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    router: Arc<Router<K, V, S>>,
    stage: Stage<K, V, F, J>,
}

enum Stage<K: Key, V: Value, F, J> {
    /// Not polled yet; the key and the work are still the caller's.
    Idle(Plan<K, F>),
    /// The shard has been told, and answers here.
    Waiting {
        seat: Seat,
        ticket: Ticket<K, V, AsyncWork<F, J>>,
        patience: Option<Box<Patience>>,
    },
    /// The key is outside the rollout: its work runs here and now, for this caller alone.
    Bypassing {
        work: Option<InPlace<V>>,
        patience: Option<Box<Patience>>,
    },
    Done,
}

/// The thread, the work and the task that a join is made from.
struct Here {
    domain: Domain,
    circumstances: Option<Box<Circumstances>>,
    waker: Waker,
}

struct Plan<K, F> {
    key: K,
    work: F,
    max_wait: Option<Duration>,
}

impl<K, V, F, J, S> Joining<K, V, F, J, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn new(router: Arc<Router<K, V, S>>, max_wait: Option<Duration>, key: K, work: F) -> Self {
        Self { router, stage: Stage::Idle(Plan { key, work, max_wait }) }
    }

    fn begin<Fut>(&mut self, plan: Plan<K, F>, here: Here) -> Result<(), JoinError>
    where
        K: Hash,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send + 'static,
        J: Judge<V>,
        S: BuildHasher,
    {
        let Plan { key, work, max_wait } = plan;
        let Here { domain, circumstances, waker } = here;
        let (hash, key, work) = self.router.admit(key, work)?;
        let patience = Patience::new(max_wait, &self.router.timers, self.router.since());
        let seat = self.router.seat(hash, domain);
        if !self.router.coalesces(hash) {
            self.router.count_bypass(seat);
            drop_contained(key);
            self.stage = Stage::Bypassing { work: Some(work::in_place(work)), patience };
            return Ok(());
        }
        let nested = circumstances.as_deref().is_some_and(Circumstances::is_nested);
        let (ticket, caller) = Ticket::new(AsyncWork::new(work), circumstances, waker);
        // Waiting before the message is out: from then on a drop has to tell the shard.
        self.stage = Stage::Waiting { seat, ticket, patience };
        post(self.router.lane(seat), Message::Join(shard::Join { hash, key, caller, nested }));
        Ok(())
    }
}

/// What an answer says. Runs in the caller, whose own everything is that comes with it.
pub(crate) fn settle<K: Key, V: Value, W>(arrival: Arrival<K, V, W>) -> Result<Arc<V>, JoinError> {
    let Arrival { outcome, flight, belongings } = arrival;
    if belongings.is_a_followers() {
        sight::followed(flight);
    }
    drop(belongings);
    outcome
}

/// Gives a ticket up.
pub(crate) fn leave<K: Key, V: Value, W>(ticket: &Ticket<K, V, W>, lane: &LiveLane<K, V>, hash: u64) {
    // Leave first, then say so: the shard looks for us when it hears, and must not find us still here. What is ours goes
    // last, as its drop may take its time.
    let Departure { unread, waker, belongings } = ticket.leave();
    if unread.is_none() {
        post(lane, Message::Cancel { hash });
    }
    drop_contained(unread);
    drop_contained(waker);
    drop(belongings);
}

// A future of work is pinned in its task, or in a box of its own; nothing in here is pinned.
impl<K, V, F, J, S> Unpin for Joining<K, V, F, J, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
}

impl<K, V, F, J, Fut, S> Future for Joining<K, V, F, J, S>
where
    K: Hash + Eq + Send + 'static,
    V: Send + Sync + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = V> + Send + 'static,
    J: Judge<V>,
    S: BuildHasher,
{
    type Output = Result<Arc<V>, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let begins = matches!(self.stage, Stage::Idle(_));
        if begins {
            // All of this may be anybody's code and panic, so it comes before key and work are in hand.
            let here = Here {
                domain: self.router.domain(),
                circumstances: self.router.circumstances(),
                waker: cx.waker().clone(),
            };
            if let Stage::Idle(plan) = mem::replace(&mut self.stage, Stage::Done) {
                self.begin(plan, here)?;
            }
        }
        let (ended, ending, patience) = match &mut self.stage {
            // The ticket has our waker already, and the shard can hardly have been faster than us.
            Stage::Waiting { patience, .. } if begins => (Poll::Pending, Ending::Answered, patience),
            Stage::Waiting { ticket, patience, .. } => (ticket.poll(cx).map(settle), Ending::Answered, patience),
            Stage::Bypassing { work, patience } => {
                let product = work::poll_contained(Pin::new(work), cx);
                (product.map(|product| product.map(|product| product.value)), Ending::Bypassed, patience)
            }
            Stage::Idle(_) | Stage::Done => panic!("a join was polled after it had given its answer"),
        };
        let Poll::Ready(outcome) = ended else {
            let after = ready!(Patience::poll(patience, cx));
            self.leave();
            return Poll::Ready(Err(JoinError::TimedOut { after }));
        };
        let since = Patience::since(patience.as_deref());
        self.stage = Stage::Done;
        self.router.waited(since, ending);
        Poll::Ready(outcome)
    }
}

impl<K, V, F, J, S> Drop for Joining<K, V, F, J, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn drop(&mut self) {
        // Nearly always: whoever has its answer has nothing to leave.
        if !matches!(self.stage, Stage::Done) {
            self.leave();
        }
    }
}

impl<K, V, F, J, S> Joining<K, V, F, J, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    /// Ends this caller's part, wherever it stands.
    fn leave(&mut self) {
        let patience = match mem::replace(&mut self.stage, Stage::Done) {
            Stage::Waiting { seat, ticket, patience } => {
                leave(&ticket, self.router.lane(seat), seat.hash);
                patience
            }
            Stage::Bypassing { work, patience } => {
                drop_contained(work);
                patience
            }
            Stage::Idle(Plan { key, work, .. }) => {
                drop_contained(key);
                drop_contained(work);
                None
            }
            Stage::Done => None,
        };
        self.router.waited(Patience::since(patience.as_deref()), Ending::Left);
    }
}

impl<K, V, F, J, S> fmt::Debug for Joining<K, V, F, J, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.stage {
            Stage::Idle(_) => "idle",
            Stage::Waiting { .. } => "waiting",
            Stage::Bypassing { .. } => "bypassing",
            Stage::Done => "done",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Mutex, PoisonError},
        task::Wake,
    };

    use super::*;
    use crate::{Coalescer, live::Live, shard::Caller, ticket::Stub};

    /// Stands where the shard's task would be woken, and looks at once.
    struct Onlooker {
        caller: Mutex<Option<Stub<u64, u64>>>,
        found_it_gone: Mutex<Option<bool>>,
    }

    impl Wake for Onlooker {
        fn wake(self: Arc<Self>) {
            let caller = self.caller.lock().unwrap_or_else(PoisonError::into_inner);
            *self.found_it_gone.lock().unwrap() = caller.as_ref().map(Caller::has_left);
        }
    }

    #[test]
    fn a_caller_has_left_by_the_time_its_shard_hears_of_it() {
        // A runtime that is never driven: the test plays the shard.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        let handle = Coalescer::<u64, u64>::builder().shards(1).build().unwrap().handle();
        let mut join = handle.join(7_u64, || async { 7 });
        assert!(Pin::new(&mut join).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let router = Arc::clone(handle.router());
        let seat = router.seat(0, router.domain());
        let Some(Message::<Live<u64, u64>>::Join(join_sent)) = router.lane(seat).take() else {
            panic!("the first poll sends a join");
        };

        let onlooker =
            Arc::new(Onlooker { caller: Mutex::new(Some(join_sent.caller)), found_it_gone: Mutex::new(None) });
        assert!(!router.lane(seat).sleep(&Waker::from(Arc::clone(&onlooker))));
        drop(join);
        assert_eq!(*onlooker.found_it_gone.lock().unwrap(), Some(true));
    }
}
