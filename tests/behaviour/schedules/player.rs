//! Does each step twice, to the coalescer and to the reference, and compares.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering::SeqCst},
    task::{Context, Poll, Waker},
    time::Duration,
};

use shardflight::{Coalescer, Shutdown};
use tokio::{task::JoinHandle, time::advance};

use super::{
    oracle::{Counters, NUMBERS_PER_CALL, Oracle},
    steps::{GATES, Join, Options, Step, When},
    world::{Answer, Caller, Flights, Log, Piled, Token, build, join, settle},
};

/// No sum of the steps' times comes to it.
const DRAIN: Duration = Duration::from_millis(700);

pub(crate) struct Player {
    options: Options,
    oracle: Oracle,
    coalescer: Arc<Coalescer<u8, Result<Token, Token>, Piled>>,
    handle: Flights,
    log: Arc<Log>,
    /// Each with its call in the reference; `None` once it has its answer or has left.
    callers: Vec<Option<(usize, Caller)>>,
    /// A shutdown under way: when its time is up, and how many flights it found.
    drain: Option<(u64, usize, JoinHandle<Shutdown>)>,
    cut: usize,
    /// What is being done, for the message should it go wrong.
    doing: String,
}

impl Player {
    pub(crate) fn new(options: Options) -> Self {
        let coalescer = Arc::new(build(options));
        Self {
            options,
            oracle: Oracle::new(options),
            handle: coalescer.handle(),
            coalescer,
            log: Arc::default(),
            callers: Vec::new(),
            drain: None,
            cut: 0,
            doing: String::new(),
        }
    }

    pub(crate) async fn take(&mut self, number: usize, step: &Step) {
        self.doing = format!("step {number}, {step:?}");
        match step {
            Step::Join(join) => self.join(join).await,
            Step::Poll(index) => self.poll(*index).await,
            Step::Drop(index) => self.drop(*index).await,
            Step::Pulse(gate) => self.pulse(*gate),
            Step::Settle => {}
            Step::Advance { milliseconds } => self.advance(*milliseconds).await,
            Step::SetEnabled(enabled) => {
                self.oracle.is_enabled = *enabled;
                self.handle.set_enabled(*enabled);
            }
            Step::SetRollout(all) => {
                self.oracle.is_rolled_out = *all;
                self.handle.set_rollout(if *all { 1.0 } else { 0.0 }).expect("a fraction");
            }
            // While shards stop one by one, which of them still answers is not worth knowing.
            _ if self.drain.is_some() => {}
            _ if self.oracle.is_closed => self.ask_the_closed(step).await,
            step => self.control(step).await,
        }
        // Where shards share a budget, which of them comes first would matter.
        let is_shared = self.options.shards > 1 && self.options.max_flights < usize::MAX;
        let in_one_go = matches!(step, Step::Join(_) | Step::Drop(_) | Step::Pulse(_));
        if is_shared || !in_one_go {
            self.settle().await;
        }
    }

    async fn settle(&mut self) {
        settle().await;
        self.oracle.settle();
        self.oracle.polled();
        let mut begun = self.log.begun.lock().unwrap().clone();
        begun.sort_unstable();
        self.oracle.begun.sort_unstable();
        assert_eq!(begun, self.oracle.begun, "G1: whose work was begun, after {}", self.doing);
        let mut nested = self.log.nested.lock().unwrap().clone();
        nested.sort_unstable_by_key(|(call, _)| *call);
        self.oracle.nested.sort_unstable_by_key(|(call, _)| *call);
        assert_eq!(nested, self.oracle.nested, "G12: the answers of nested joins, after {}", self.doing);
    }

    async fn join(&mut self, wanted: &Join) {
        let mut wanted = wanted.clone();
        let is_nested = matches!(wanted.plan.ends, When::Joined { .. });
        if is_nested && self.oracle.bypasses() {
            // No flight would wait for it, and it would join from its caller's poll.
            wanted.plan.ends = When::AtOnce;
        } else if is_nested {
            // What it joins, it joins alone, so that there is one order in which that can be.
            self.settle().await;
        }
        let id = self.callers.len() * NUMBERS_PER_CALL;
        let mut caller = join(&self.handle, &self.log, id, &wanted);
        let call = self.oracle.calls.len();
        let expected = self.oracle.join(id, &wanted);
        self.compare(&poll_once(&mut caller), expected.as_ref());
        self.callers.push(expected.is_none().then_some((call, caller)));
        if is_nested {
            self.settle().await;
        }
    }

    fn compare(&self, seen: &Poll<Answer>, expected: Option<&Answer>) {
        assert_eq!(*seen, expected.cloned().map_or(Poll::Pending, Poll::Ready), "{}", self.doing);
    }

    async fn poll(&mut self, index: usize) {
        self.settle().await;
        if let Some(index) = self.find(index) {
            self.poll_caller(index);
        }
    }

    fn poll_caller(&mut self, index: usize) {
        let Some((call, mut caller)) = self.callers[index].take() else { return };
        let expected = self.oracle.poll(call);
        self.compare(&poll_once(&mut caller), expected.as_ref());
        self.callers[index] = expected.is_none().then_some((call, caller));
    }

    /// One of the waiting callers.
    fn find(&self, index: usize) -> Option<usize> {
        let waiting: Vec<_> = (0..self.callers.len()).filter(|&caller| self.callers[caller].is_some()).collect();
        waiting.get(index.checked_rem(waiting.len())?).copied()
    }

    async fn drop(&mut self, index: usize) {
        let Some(index) = self.find(index) else { return };
        let Some((call, caller)) = self.callers[index].take() else { return };
        // Whether dropped work leaves what it waits for before that ends is the coalescer's choice.
        let waits = self.oracle.waits_with_others(call);
        if waits {
            self.settle().await;
        }
        self.oracle.leave(call);
        drop(caller);
        if waits {
            self.settle().await;
        }
    }

    fn pulse(&mut self, gate: usize) {
        self.oracle.pulse(gate);
        self.log.gates[gate].send_modify(|pulses| *pulses += 1);
    }

    async fn advance(&mut self, milliseconds: u64) {
        self.settle().await;
        advance(Duration::from_millis(milliseconds)).await;
        settle().await;
        self.oracle.advance(milliseconds);
        if self.drain.as_ref().is_some_and(|(over, ..)| *over <= self.oracle.now) {
            self.cut += self.oracle.close();
        }
    }

    async fn control(&mut self, step: &Step) {
        if let Step::ForgetInPassing { key } = step {
            return self.forget_in_passing(*key).await;
        }
        self.settle().await;
        match step {
            Step::Forget { key } => {
                let expected = self.oracle.joinable(*key);
                expected.into_iter().for_each(|flight| self.oracle.forget(flight));
                assert_eq!(self.handle.forget(*key).await, Ok(expected.is_some()), "G9: {}", self.doing);
            }
            Step::ForgetAll => {
                let expected: Vec<_> = (0..super::steps::KEYS).filter_map(|key| self.oracle.joinable(key)).collect();
                expected.iter().for_each(|&flight| self.oracle.forget(flight));
                assert_eq!(self.handle.forget_all().await, Ok(expected.len()), "G9: {}", self.doing);
            }
            Step::Stats => self.compare_stats().await,
            Step::Inspect => {
                let seen = self.coalescer.inspect(usize::MAX).await.expect("the shards are there");
                let live = self.oracle.live().count();
                assert_eq!((seen.crowded.len(), seen.oldest.len()), (live, live), "{}", self.doing);
                let oldest = seen.oldest.first().map(|flight| flight.age);
                assert_eq!(oldest, self.oracle.oldest().map(Duration::from_millis), "{}", self.doing);
            }
            Step::ResetStats => {
                self.handle.reset_stats().await.expect("the shards are there");
                self.oracle.counters = Counters::default();
            }
            Step::Shutdown => {
                let shutdown = self.coalescer.shutdown(Duration::ZERO).await;
                let cut = self.oracle.close();
                assert_eq!((shutdown.finished, shutdown.cut), (0, cut), "{}", self.doing);
            }
            Step::Drain => {
                let coalescer = Arc::clone(&self.coalescer);
                let drain = tokio::spawn(async move { coalescer.shutdown(DRAIN).await });
                self.oracle.is_closed = true;
                let over = self.oracle.now + u64::try_from(DRAIN.as_millis()).unwrap();
                self.drain = Some((over, self.oracle.live().count(), drain));
            }
            _ => unreachable!("{step:?} is no control"),
        }
    }

    /// Without a pause, so that no task has a turn before.
    async fn forget_in_passing(&mut self, key: u8) {
        let expected = self.oracle.joinable(key);
        expected.into_iter().for_each(|flight| self.oracle.forget(flight));
        assert_eq!(self.handle.forget(key).await, Ok(expected.is_some()), "G9: {}", self.doing);
    }

    async fn ask_the_closed(&mut self, step: &Step) {
        let is_closed = match step {
            Step::Forget { key } | Step::ForgetInPassing { key } => self.handle.forget(*key).await.is_err(),
            Step::ForgetAll => self.handle.forget_all().await.is_err(),
            Step::Stats => self.handle.stats().await.is_err(),
            Step::Inspect => self.coalescer.inspect(1).await.is_err(),
            Step::ResetStats => self.handle.reset_stats().await.is_err(),
            _ => self.coalescer.shutdown(Duration::ZERO).await == Shutdown::default(),
        };
        assert!(is_closed, "{}", self.doing);
    }

    async fn compare_stats(&mut self) {
        let seen = self.handle.stats().await.expect("the shards are there");
        let counters = Counters {
            joins: seen.joins,
            executions: seen.executions,
            coalesced: seen.coalesced,
            errors: seen.errors,
            panics: seen.panics,
            timeouts: seen.timeouts,
            rejections: seen.rejections,
            departures: seen.departures,
            aborts: seen.aborts,
            forgets: seen.forgets,
            bypasses: seen.bypasses,
        };
        assert_eq!(counters, self.oracle.counters, "G14: {}", self.doing);
        let gauges = (self.oracle.live().count(), self.oracle.waiters());
        assert_eq!((seen.flights, seen.waiters), gauges, "G14: flights and waiters, {}", self.doing);
        let oldest = self.oracle.oldest().map(Duration::from_millis);
        assert_eq!(seen.oldest_flight, oldest, "G14: {}", self.doing);
    }

    /// Lets everything end that can, polls all callers, then ends the rest.
    pub(crate) async fn finish(mut self) -> Leftovers {
        self.doing = "the end".to_string();
        self.settle().await;
        (0..GATES).for_each(|gate| self.pulse(gate));
        self.settle().await;
        (0..self.callers.len()).for_each(|caller| self.poll_caller(caller));
        self.settle().await;
        if !self.oracle.is_closed {
            self.compare_stats().await;
        }
        if let Some((over, found, drain)) = self.drain.take() {
            self.drain = Some((over, found, tokio::spawn(async { Shutdown::default() })));
            self.advance(750).await;
            let Shutdown { finished, cut, .. } = drain.await.expect("a shutdown doesn't panic");
            assert_eq!((finished, cut), (found - self.cut, self.cut), "what the shutdown finished and cut");
        } else if self.options.shuts_down && !self.oracle.is_closed {
            self.control(&Step::Shutdown).await;
        }
        self.settle().await;
        (0..self.callers.len()).for_each(|caller| self.poll_caller(caller));
        self.callers.clear();
        settle().await;
        let Self { options, oracle, coalescer, handle, log, .. } = self;
        drop((coalescer, handle));
        settle().await;
        if oracle.is_closed || options.aborts {
            assert_eq!(log.works.load(SeqCst), 0, "G10: works that are left");
        }
        Leftovers(log)
    }
}

/// What outlives the coalescer, and the runtime too.
pub(crate) struct Leftovers(Arc<Log>);

impl Leftovers {
    pub(crate) fn assert_nothing_is_left(&self) {
        assert_eq!(self.0.values.load(SeqCst), 0, "G6: values that are left");
        assert_eq!(self.0.works.load(SeqCst), 0, "G6: works that are left");
    }
}

/// Never arranges to be woken: the schedule says when to poll again.
fn poll_once(caller: &mut Caller) -> Poll<Answer> {
    Pin::new(caller).poll(&mut Context::from_waker(Waker::noop()))
}
