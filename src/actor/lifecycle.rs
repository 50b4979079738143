//! The actors as kameo has them: started, kept alive by their references, and stopped.

#[cfg(test)]
mod tests;

use std::{convert::Infallible, future::poll_fn, ops::ControlFlow, sync::Arc, task::Poll};

use kameo::{
    Actor,
    actor::{ActorRef, PreparedActor, WeakActorRef},
    error::{ActorStopReason, PanicError},
    mailbox::{self, MailboxReceiver, Signal},
};

use super::executor::Executor;
use crate::{
    engine::{Engine, Key, Value},
    error::CaughtPanic,
    shard::Report,
    sync::Runtime,
    trace,
};

/// The actors of all shards. Owning this is what keeps them alive; when it goes, they close their shards.
pub(crate) struct Actors<K: Key, V: Value>(
    #[expect(dead_code, reason = "owned alone")] Box<[ActorRef<ShardActor<K, V>>]>,
);

impl<K: Key, V: Value> Actors<K, V> {
    pub(crate) fn spawn(engine: &Arc<Engine<K, V>>, timers: &Runtime) -> Self {
        let spawn = |shard| {
            let actor = PreparedActor::new(mailbox::unbounded());
            let actor_ref = actor.actor_ref().clone();
            let executor = Executor::new(Arc::clone(engine), shard, timers.clone());
            let _inside = engine.runtime.enter();
            actor.spawn(Args { shard, executor });
            actor_ref
        };
        Self((0..engine.shards()).map(spawn).collect())
    }
}

struct Args<K: Key, V: Value> {
    shard: usize,
    executor: Executor<K, V>,
}

struct ShardActor<K: Key, V: Value> {
    shard: usize,
    /// Boxed: the future that kameo wraps around an actor moves room for it at every poll.
    executor: Box<Executor<K, V>>,
}

impl<K: Key, V: Value> Actor for ShardActor<K, V> {
    type Args = Args<K, V>;
    type Error = Infallible;

    fn name() -> &'static str {
        "shardflight shard"
    }

    async fn on_start(Args { shard, executor }: Self::Args, _: ActorRef<Self>) -> Result<Self, Self::Error> {
        Ok(Self { shard, executor: Box::new(executor) })
    }

    /// Ends the actor when its shard is closed.
    async fn next(
        &mut self,
        _: WeakActorRef<Self>,
        mailbox: &mut MailboxReceiver<Self>,
    ) -> Result<Option<Signal<Self>>, Self::Error> {
        Ok(poll_fn(|cx| match mailbox.poll_recv(cx) {
            Poll::Ready(signal) => Poll::Ready(signal),
            Poll::Pending => self.executor.poll(cx).map(|()| None),
        })
        .await)
    }

    /// Goes on: a turn puts its shard back when it unwinds, and without its actor a shard has no deadlines.
    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        panic: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, Self::Error> {
        let panic = panic.with_str(CaughtPanic::new).unwrap_or_else(|| CaughtPanic::new("not a string"));
        trace::report(&Report::Recovered { shard: self.shard, panic });
        Ok(ControlFlow::Continue(()))
    }

    async fn on_stop(&mut self, _: WeakActorRef<Self>, _: ActorStopReason) -> Result<(), Self::Error> {
        self.executor.close();
        Ok(())
    }
}
