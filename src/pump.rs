//! Between a lane and its shard: feeds messages in, carries out what comes back, in bounded turns.

use std::{
    collections::VecDeque,
    future::poll_fn,
    mem,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use crate::{
    alarm::Alarm,
    drain::{Drain, Drained},
    estate::Estate,
    host::{Runtime, now, oneshot},
    live::{Answer, Key, Lanes, Live, LiveLane, Value, post, refuse},
    shard::{Effect, Landing, Message, Remains, Shard},
    sight,
    watch::Watch,
};

/// The most messages taken, the most flights expired and the most callers answered before the runtime's other tasks get
/// their turn. flume and oneshot spend nothing of tokio's cooperative budget, so the bound has to be ours.
const BATCH: usize = 256;

/// Says what a key is, for [`inspect`](crate::Coalescer::inspect).
pub(crate) type Describe<K> = Arc<dyn Fn(&K) -> String + Send + Sync>;

/// Owns a shard and everything on its way out of it. All of it is in here, never in a local variable: a panic in the
/// middle of a turn loses what was being handled at that moment, and nothing else (G5).
pub(crate) struct Pump<K: Key, V: Value> {
    number: usize,
    lanes: Lanes<K, V>,
    shard: Shard<Live<K, V>>,
    runtime: Runtime,
    describe: Option<Describe<K>>,
    /// Until the shard is closed.
    watch: Option<Arc<dyn Watch>>,
    /// What the last message asked for; carried out before the next is taken.
    effects: Vec<Effect<Live<K, V>>>,
    /// Flights that are over and whose callers are being answered, the first of them perhaps in part.
    landings: VecDeque<Landing<Live<K, V>>>,
    /// What nobody wants, until the turn's end.
    remains: Estate<K, V>,
    alarm: Alarm,
    drain: Option<Drain>,
    /// The time of this turn.
    now: Instant,
    handled: u64,
    longest_queue: usize,
}

impl<K: Key, V: Value> Pump<K, V> {
    pub(crate) fn new(
        number: usize,
        lanes: Lanes<K, V>,
        shard: Shard<Live<K, V>>,
        runtime: Runtime,
        timers: Runtime,
        describe: Option<Describe<K>>,
        watch: Option<Arc<dyn Watch>>,
    ) -> Self {
        Self {
            number,
            lanes,
            shard,
            runtime,
            describe,
            watch,
            effects: Vec::new(),
            landings: VecDeque::new(),
            remains: Estate::default(),
            alarm: Alarm::new(timers),
            drain: None,
            now: now(),
            handled: 0,
            longest_queue: 0,
        }
    }

    #[cfg_attr(shardflight_shuttle, expect(dead_code, reason = "the actor's"))]
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    fn lane(&self) -> &LiveLane<K, V> {
        &self.lanes[self.number]
    }

    /// Does one turn's work, and sees to it that the task is polled again when there is more. Ready when the shard is
    /// drained and has nothing left to do.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let more = self.turn();
        if self.drain.is_some() && self.is_drained() {
            return Poll::Ready(());
        }
        if !self.alarm.is_set() {
            let drain = self.drain.as_ref().and_then(Drain::deadline);
            self.alarm.set([self.shard.next_deadline(), drain].into_iter().flatten().min());
        }
        let rings = self.alarm.poll(cx).is_ready();
        if more || rings || self.lane().sleep(cx.waker()) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Takes everything that was in the lane when this was called: what is asked of the shard from outside the lane
    /// comes after what was sent by the lane before.
    pub(crate) async fn catch_up(&mut self) {
        let target = self.handled + self.lane().len() as u64;
        while self.handled < target {
            self.turn();
            yield_now().await;
        }
    }

    /// The shard, for whoever controls it.
    pub(crate) fn control<T>(&mut self, control: impl FnOnce(&mut Shard<Live<K, V>>, Instant) -> T) -> T {
        self.now = now();
        control(&mut self.shard, self.now)
    }

    /// Counters to zero. Whoever is still being answered belongs to what was counted before, departed or not (G14).
    pub(crate) fn reset_stats(&mut self) {
        self.shard.reset_stats();
        self.landings.iter_mut().for_each(|landing| landing.counts = false);
    }

    pub(crate) fn describe(&self) -> Option<Describe<K>> {
        self.describe.clone()
    }

    /// Refuses joins from now on, and stops when the last flight has landed or at the deadline, whichever is first.
    /// Asked again, the earlier deadline counts, and everyone who asked is told.
    pub(crate) fn drain(&mut self, deadline: Option<Instant>, reply: oneshot::Sender<Drained>) {
        self.shard.drain();
        let flights = self.shard.flights();
        self.drain.get_or_insert_with(|| Drain::new(flights)).ask(deadline, reply);
        self.alarm.clear();
    }

    /// Whether the drain is over: cuts what is left once its time is up, and has everyone answered before it says so.
    fn is_drained(&mut self) -> bool {
        let Some(drain) = &self.drain else { return false };
        let flights = self.shard.flights();
        if flights > 0 && !drain.is_due(self.now) {
            return false;
        }
        let drained = drain.ends(flights);
        self.shard.close(true, &mut self.effects);
        self.carry_out();
        while !self.landings.is_empty() {
            self.answer();
        }
        self.dispose();
        if let Some(drain) = &mut self.drain {
            drain.tell(drained);
        }
        true
    }

    /// Drops something of a user's where that hurts nobody.
    pub(crate) fn discard(&mut self, key: K) {
        self.remains.extend([Remains::Key(key)]);
        self.dispose();
    }

    /// One bounded portion of work. True if there is more, or may well be soon.
    fn turn(&mut self) -> bool {
        self.now = now();
        let mut taken = 0;
        while taken < BATCH
            && let Some(message) = self.lane().take()
        {
            taken += 1;
            self.handle(message);
        }
        let overdue = self.alarm.is_due(self.now) && self.expire();
        self.answer();
        self.dispose();
        if taken == BATCH {
            self.longest_queue = self.longest_queue.max(self.lane().len());
            return true;
        }
        let longest = mem::take(&mut self.longest_queue);
        for message in self.lane().relax(longest) {
            self.handle(message);
        }
        let lingers = taken > 0 && self.lane().is_dear_to_wake();
        lingers || overdue || !self.landings.is_empty()
    }

    fn handle(&mut self, message: Message<Live<K, V>>) {
        self.handled += 1;
        self.shard.handle(message, self.now, &mut self.effects);
        // A follower's join, the commonest of all, asks for nothing.
        if !self.effects.is_empty() {
            self.carry_out();
        }
    }

    /// Ends or detaches flights whose time is up. True if there may be more.
    fn expire(&mut self) -> bool {
        for _ in 0..BATCH {
            let expired = self.shard.expire(self.now, &mut self.effects);
            self.carry_out();
            if !expired {
                self.alarm.clear();
                return false;
            }
        }
        true
    }

    fn carry_out(&mut self) {
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Launch { flight, work } => {
                    if let Some(task) = work.launch(&self.runtime, self.lanes.clone(), flight) {
                        self.shard.launched(flight, task);
                    }
                }
                Effect::Land(landing) => {
                    if let (Some(flown), Some(outcome)) = (landing.flight, landing.outcome()) {
                        let latency = || self.now.saturating_duration_since(flown.started);
                        sight::landed(flown.id, latency, outcome.as_ref().err(), landing.waiters());
                        if let Some(watch) = &self.watch {
                            watch.landed(latency(), outcome.as_ref().err(), landing.waiters());
                        }
                    }
                    self.landings.push_back(landing);
                }
                Effect::Abort(task) => task.abort(),
                Effect::Discard(remains) => self.remains.extend([remains]),
                Effect::Send { shard, message } => post(&self.lanes[shard], message),
                Effect::Report(report) => sight::report(&report),
            }
        }
    }

    /// Answers callers of flights that are over, up to a batch of them.
    fn answer(&mut self) {
        let mut left = BATCH;
        while let Some(landing) = self.landings.front_mut() {
            let flight = landing.flight.map(|flown| flown.id);
            while left > 0
                && let Some((caller, outcome, key)) = landing.next()
            {
                left -= 1;
                if let Err(unheard) = caller.answer(Answer { outcome, flight, key }) {
                    self.shard.count_departure(landing.counts);
                    self.remains.extend(unheard.outcome.ok().map(Remains::Value));
                    self.remains.extend(unheard.key.map(Remains::Key));
                }
            }
            if !landing.is_over() {
                return;
            }
            if let Some(landing) = self.landings.pop_front() {
                self.remains.extend(landing.remains());
            }
        }
    }

    /// Drops what nobody wants in a task of its own: it is the user's, and its `Drop` may panic or take its time.
    fn dispose(&mut self) {
        if !self.remains.is_empty() {
            let remains = mem::take(&mut self.remains);
            self.runtime.spawn(async move { drop(remains) });
        }
    }

    /// Answers everyone, on the flights and in the lane, and refuses whoever comes later. Idempotent.
    pub(crate) fn close(&mut self) {
        for message in self.lane().close() {
            match message {
                join @ Message::Join(_) => refuse(join),
                other => self.handle(other),
            }
        }
        let abort = self.shard.aborts_abandoned() || self.drain.is_some();
        self.shard.close(abort, &mut self.effects);
        self.carry_out();
        while !self.landings.is_empty() {
            self.answer();
        }
        // Here and now: the runtime may be gone, and there are no other keys left to wait for this.
        drop(mem::take(&mut self.remains));
        // Last, as nobody's answer is to wait for it. Taken, so that it is said once.
        if let Some(watch) = self.watch.take() {
            watch.closed(self.number, self.shard.totals(self.now));
        }
    }
}

/// The runtime may drop its tasks without any farewell; those who wait on another runtime or thread still have to hear
/// of it (G5).
impl<K: Key, V: Value> Drop for Pump<K, V> {
    fn drop(&mut self) {
        self.close();
    }
}

/// Lets the runtime's other tasks run. Unlike Tokio's, which keeps the waker on the worker that is about to run them,
/// this leaves the shard where another worker can take it, should one of them block (G4).
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
#[cfg(not(shardflight_shuttle))]
mod tests {
    use std::{future::pending, task::Waker};

    use super::*;
    use crate::{
        OnAbandon, OnExpiry,
        error::JoinError,
        shard::{Budget, Complete, FlightId, FlightRef, Join, Rules},
        ticket::Ticket,
        work::{AsyncWork, Unjudged},
    };

    fn pump(shards_on: Option<&Runtime>) -> (Lanes<u8, u8>, Pump<u8, u8>) {
        let rules = Rules {
            max_waiters: usize::MAX,
            budget: Budget::new(1),
            max_flight_duration: None,
            on_expiry: OnExpiry::Fail,
            on_abandon: OnAbandon::Finish,
            crowd: usize::MAX,
        };
        let (lanes, runtime) = (Lanes::new(1, shards_on), Runtime::current());
        (lanes.clone(), Pump::new(0, lanes, Shard::new(0, rules), runtime.clone(), runtime, None, None))
    }

    #[tokio::test]
    async fn a_turn_takes_a_batch_and_not_one_message_more() {
        let (lanes, mut pump) = pump(None);
        (0..=BATCH).for_each(|_| post(&lanes[0], Message::Cancel { hash: 7 }));
        assert!(pump.turn(), "there is more");
        assert_eq!(lanes[0].len(), 1);
        assert!(!pump.turn(), "that was all");
    }

    #[tokio::test]
    async fn a_shard_that_is_dear_to_wake_looks_once_more_and_then_sleeps() {
        let (lanes, mut pump) = pump(Some(&Runtime::current()));
        post(&lanes[0], Message::Cancel { hash: 7 });
        assert!(pump.turn(), "another look");
        assert!(!pump.turn(), "and no third");
    }

    #[tokio::test]
    async fn who_left_a_flight_that_is_being_answered_is_not_counted_after_a_reset() {
        let (lanes, mut pump) = pump(None);
        let tickets: Vec<_> = (0..=BATCH)
            .map(|_| {
                let work = AsyncWork::<_, Unjudged>::new(pending::<u8>);
                let (ticket, caller) = Ticket::new(work, None, Waker::noop().clone());
                post(&lanes[0], Message::Join(Join { hash: 7, key: 7, caller, nested: false }));
                ticket
            })
            .collect();
        while pump.turn() {}
        // No word of it, as if its message were behind the next.
        let _departure = tickets[BATCH].leave();
        let flight = FlightRef { hash: 7, id: FlightId::first_of(0) };
        post(&lanes[0], Message::Complete(Complete { flight, outcome: Err(JoinError::Aborted), is_error: false }));
        assert!(pump.turn(), "one is left to answer");
        pump.reset_stats();
        assert!(!pump.turn(), "that was all");
        assert_eq!(pump.control(Shard::stats).departures, 0);
        assert_eq!(pump.control(Shard::totals).departures, 1);
    }
}
