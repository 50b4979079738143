//! Work that is called a second time if the first call is slow.

use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{Hedge, HedgeBudget, call::Call};
use crate::{
    admission::{Admission, SparePermit},
    join::alarm::AlarmedSleep,
    sync::clock,
    tally::Tally,
    task::current,
    unwind::Contained,
};

/// What the second calls of a coalescer are counted in, and taken from.
#[derive(Clone)]
pub(crate) struct Accounts {
    pub(crate) budget: Arc<HedgeBudget>,
    pub(crate) tallies: Arc<[Tally]>,
    pub(crate) coalescer: u64,
    /// Where executions have a limit.
    pub(crate) admission: Option<Admission>,
}

impl Accounts {
    /// Of the flight's shard. A join that is bypassed has no flight, and the first shard counts for it.
    fn tally(&self) -> &Tally {
        let own = current::get().filter(|current| current.coalescer == self.coalescer);
        &self.tallies[own.map_or(0, |current| current.flight.id.shard())]
    }

    /// A permit for a second call, where executions have a limit; the calls of a bypassed join have none. `None` if none is left.
    fn permit(&self) -> Option<SparePermit> {
        let own = current::get().filter(|current| current.coalescer == self.coalescer);
        match (&self.admission, own) {
            (Some(admission), Some(own)) => admission.try_acquire(own.flight.id),
            _ => Some(SparePermit::not_needed()),
        }
    }
}

/// What a hedged join gives to its flight. Named only in the types of joins.
pub type HedgedCall<F, Fut> = Box<dyn FnOnce() -> HedgedWork<F, Fut> + Send>;

/// The future of hedged work. Named only in the types of joins.
#[must_use = "futures do nothing unless they are polled"]
pub struct HedgedWork<F, Fut: Future> {
    work: Contained<F>,
    hedge: Hedge,
    accounts: Accounts,
    is_success: fn(&Fut::Output) -> bool,
    first: Call<Fut>,
    second: Call<Fut>,
    /// Until the second call.
    timer: Option<AlarmedSleep>,
    /// Of the second of two calls that run. After the calls, and so given back when they are gone.
    permit: Option<SparePermit>,
}

impl<F, Fut> HedgedWork<F, Fut>
where
    F: Fn() -> Fut + Send + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: 'static,
{
    pub(crate) fn boxed(
        work: F,
        hedge: Hedge,
        accounts: Accounts,
        is_success: fn(&Fut::Output) -> bool,
    ) -> HedgedCall<F, Fut> {
        let work = Contained::new(work);

        Box::new(move || Self {
            work,
            hedge,
            accounts,
            is_success,
            first: Call::Unmade,
            second: Call::Unmade,
            timer: None,
            permit: None,
        })
    }
}

// The futures are in boxes, and nothing else is pinned.
impl<F, Fut: Future> Unpin for HedgedWork<F, Fut> {}

impl<F, Fut> HedgedWork<F, Fut>
where
    F: Fn() -> Fut,
    Fut: Future,
{
    fn is_running(&self) -> bool {
        self.first.is_running() || self.second.is_running()
    }

    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        if let Call::Unmade = self.first {
            self.accounts.budget.earn(self.hedge.share);
            self.first = Call::make(self.work.get());
            let polled = self.first.poll(self.is_success, cx);
            // Without a timer, there is no second call.
            self.timer =
                self.first.is_running().then(|| clock::sleep_here(self.hedge.after).map(AlarmedSleep::new)).flatten();
            return polled;
        }
        self.first.poll(self.is_success, cx)
    }

    fn poll_second(&mut self, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        if self.timer.as_mut().is_some_and(|timer| timer.poll(cx).is_ok_and(|polled| polled.is_ready())) {
            self.timer = None;
            let permit = self.accounts.permit();
            if permit.is_some() && self.accounts.budget.spend() {
                self.permit = permit;
                self.accounts.tally().hedges.up();
                self.second = Call::make(self.work.get());
            } else {
                self.accounts.tally().hedges_denied.up();
            }
        }
        let polled = self.second.poll(self.is_success, cx);
        if polled.is_ready() {
            self.accounts.tally().hedges_won.up();
        }
        polled
    }
}

impl<F, Fut> Future for HedgedWork<F, Fut>
where
    F: Fn() -> Fut,
    Fut: Future,
{
    type Output = Fut::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        if let Poll::Ready(value) = self.poll_first(cx) {
            return Poll::Ready(value);
        }
        // An error is no reason for a second call: this is about slow work.
        if self.is_running()
            && let Poll::Ready(value) = self.poll_second(cx)
        {
            return Poll::Ready(value);
        }
        if !(self.first.is_running() && self.second.is_running()) {
            self.permit = None;
        }
        if self.is_running() {
            return Poll::Pending;
        }
        match mem::replace(&mut self.first, Call::Unmade) {
            Call::Failed(failure) => Poll::Ready(failure.into_inner().give()),
            Call::Unmade | Call::Running(_) => unreachable!("it is made in the first poll, and no longer runs"),
        }
    }
}

impl<F, Fut: Future> fmt::Debug for HedgedWork<F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgedWork").field("hedge", &self.hedge).finish_non_exhaustive()
    }
}
