//! Between a lane and its shard: feeds messages in, carries out what comes back, in bounded turns.

use std::{collections::VecDeque, mem, sync::Arc, task::Context, time::Instant};

use tokio::runtime::Handle as Runtime;

use crate::{
    live::{Answer, Key, Live, LiveLane, Value, let_go, refuse},
    panics::drop_contained,
    shard::{Effect, Landing, Leftovers, Message, Remains, Shard},
    work::Execution,
};

/// The most messages taken, and the most callers answered, before the runtime's other tasks get their turn. flume and
/// oneshot spend nothing of tokio's cooperative budget, so the bound has to be ours.
const BATCH: usize = 256;

/// Owns a shard and everything on its way out of it. All of it is in here, never in a local variable: a panic in the
/// middle of a turn loses what was being handled at that moment, and nothing else (G5).
pub(crate) struct Pump<K: Key, V: Value> {
    lane: Arc<LiveLane<K, V>>,
    shard: Shard<Live<K, V>>,
    runtime: Runtime,
    /// What the last message asked for; carried out before the next is taken.
    effects: Vec<Effect<Live<K, V>>>,
    /// Flights that are over and whose callers are being answered, the first of them perhaps in part.
    landings: VecDeque<Landing<Live<K, V>>>,
    /// What nobody wants, until the turn's end.
    remains: Vec<Remains<Live<K, V>>>,
    handled: u64,
    longest_queue: usize,
}

impl<K: Key, V: Value> Pump<K, V> {
    pub(crate) fn new(lane: Arc<LiveLane<K, V>>, shard: Shard<Live<K, V>>, runtime: Runtime) -> Self {
        Self {
            lane,
            shard,
            runtime,
            effects: Vec::new(),
            landings: VecDeque::new(),
            remains: Vec::new(),
            handled: 0,
            longest_queue: 0,
        }
    }

    /// Does one turn's work, and sees to it that the task is polled again when there is more.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) {
        if self.turn() || self.lane.sleep(cx.waker()) {
            cx.waker().wake_by_ref();
        }
    }

    /// Takes everything that was in the lane when this was called: what is asked of the shard from outside the lane
    /// comes after what was sent by the lane before.
    pub(crate) async fn catch_up(&mut self) {
        let target = self.handled + self.lane.len() as u64;
        while self.handled < target {
            self.turn();
            tokio::task::yield_now().await;
        }
    }

    /// The shard, for whoever controls it. Its effects go into the next turn.
    pub(crate) fn control<T>(
        &mut self,
        control: impl FnOnce(&mut Shard<Live<K, V>>, Instant, &mut Vec<Effect<Live<K, V>>>) -> T,
    ) -> T {
        let reply = control(&mut self.shard, now(), &mut self.effects);
        self.carry_out();
        self.dispose();
        reply
    }

    /// Drops something of a user's where that hurts nobody.
    pub(crate) fn discard(&mut self, key: K) {
        self.remains.push(Remains::Leftovers(Leftovers { key, work: None }));
        self.dispose();
    }

    /// One bounded portion of work. True if there is more.
    fn turn(&mut self) -> bool {
        let now = now();
        let mut taken = 0;
        while taken < BATCH
            && let Some(message) = self.lane.take()
        {
            taken += 1;
            self.handle(message, now);
        }
        self.answer();
        self.dispose();
        if taken == BATCH {
            self.longest_queue = self.longest_queue.max(self.lane.len());
            return true;
        }
        for message in self.lane.relax(mem::take(&mut self.longest_queue)) {
            self.handle(message, now);
        }
        !self.landings.is_empty()
    }

    fn handle(&mut self, message: Message<Live<K, V>>, now: Instant) {
        self.handled += 1;
        self.shard.handle(message, now, &mut self.effects);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Launch { hash, flight, work } => {
                    let execution = Execution::new(Arc::clone(&self.lane), hash, flight, work);
                    let task = self.runtime.spawn(execution).abort_handle();
                    self.shard.launched(hash, flight, task);
                }
                Effect::Land(landing) => self.landings.push_back(landing),
                Effect::Abort(task) => task.abort(),
                Effect::Discard(remains) => self.remains.push(remains),
            }
        }
    }

    /// Answers callers of flights that are over, up to a batch of them.
    fn answer(&mut self) {
        let mut left = BATCH;
        while let Some(landing) = self.landings.front_mut() {
            while left > 0
                && let Some((caller, outcome, leftovers)) = landing.next()
            {
                left -= 1;
                if let Err(unheard) = caller.send(Answer { outcome, leftovers }) {
                    self.shard.count_departures(1);
                    let Answer { outcome, leftovers } = unheard.into_inner();
                    self.remains.extend(outcome.ok().map(Remains::Value));
                    self.remains.extend(leftovers.map(Remains::Leftovers));
                }
            }
            if !landing.is_over() {
                return;
            }
            self.remains.extend(self.landings.pop_front().into_iter().flat_map(Landing::remains));
        }
    }

    /// Drops what nobody wants in a task of its own: it is the user's, and its `Drop` may panic or take its time.
    fn dispose(&mut self) {
        if !self.remains.is_empty() {
            let remains = mem::take(&mut self.remains);
            self.runtime.spawn(async move { remains.into_iter().for_each(let_go_of) });
        }
    }

    /// Answers everyone, on the flights and in the lane, and refuses whoever comes later. Idempotent.
    pub(crate) fn close(&mut self) {
        for message in self.lane.close() {
            match message {
                join @ Message::Join(_) => refuse(join),
                other => self.handle(other, now()),
            }
        }
        self.shard.close(&mut self.effects);
        self.carry_out();
        while !self.landings.is_empty() {
            self.answer();
        }
        // Here and now: the runtime may be gone, and there are no other keys left to wait for this.
        mem::take(&mut self.remains).into_iter().for_each(let_go_of);
    }
}

/// The runtime may drop its tasks without any farewell; those who wait on another runtime or thread still have to hear
/// of it (G5).
impl<K: Key, V: Value> Drop for Pump<K, V> {
    fn drop(&mut self) {
        self.close();
    }
}

fn let_go_of<K: Key, V: Value>(remains: Remains<Live<K, V>>) {
    match remains {
        Remains::Leftovers(leftovers) => let_go(leftovers),
        Remains::Value(value) => drop_contained(value),
    }
}

/// Tokio's clock, which tests can pause, in the standard library's terms, which the shard understands.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
