//! The kameo actor around a pump: the lane is its data plane, kameo's mailbox its control plane.

use std::{
    convert::Infallible,
    future::poll_fn,
    ops::ControlFlow,
    pin::{Pin, pin},
    task::{Poll, ready},
};

use kameo::{
    Actor,
    actor::{ActorRef, PreparedActor, WeakActorRef},
    error::{ActorStopReason, PanicError},
    mailbox::{self, MailboxReceiver, Signal},
    message::{Context, Message},
};
use tokio::runtime::Handle as Runtime;

use crate::{
    control::{Control, Inside},
    error::{CaughtPanic, Closed},
    live::{Key, Value},
    pump::Pump,
    sight,
};

/// One shard's control plane, from outside. Owning it is what keeps the actor alive.
pub(crate) struct Port<K: Key, V: Value> {
    actor: ActorRef<ShardActor<K, V>>,
}

impl<K: Key, V: Value> Port<K, V> {
    /// Spawns a shard's actor on `runtime`.
    pub(crate) fn open(runtime: &Runtime, pump: Pump<K, V>) -> Self {
        // Unbounded, so that asking never waits; whoever asks waits for its answer, which bounds the queue by callers.
        let actor = PreparedActor::new(mailbox::unbounded());
        let port = Self { actor: actor.actor_ref().clone() };
        let _inside = runtime.enter();
        actor.spawn(pump);
        port
    }

    /// Puts a question to the shard, at once; the answer is to be awaited. It comes after everything that was in the lane
    /// before.
    pub(crate) fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Control<K>,
    ) -> Result<impl Future<Output = Result<T, Closed>>, Closed> {
        let answer = put(&self.actor, question)?;
        Ok(hear(answer, self.actor.wait_for_shutdown()))
    }

    pub(crate) fn downgrade(&self) -> WeakPort<K, V> {
        WeakPort { actor: self.actor.downgrade() }
    }
}

/// The same for somebody who doesn't keep the actor alive.
pub(crate) struct WeakPort<K: Key, V: Value> {
    actor: WeakActorRef<ShardActor<K, V>>,
}

impl<K: Key, V: Value> WeakPort<K, V> {
    /// Puts a question and waits for the answer. The actor is held while the question is put, not until it is answered.
    pub(crate) async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Control<K>) -> Result<T, Closed> {
        let answer = put(&self.actor.upgrade().ok_or(Closed)?, question)?;
        hear(answer, self.actor.wait_for_shutdown()).await
    }
}

fn put<K: Key, V: Value, T>(
    actor: &ActorRef<ShardActor<K, V>>,
    question: impl FnOnce(oneshot::Sender<T>) -> Control<K>,
) -> Result<oneshot::AsyncReceiver<T>, Closed> {
    let (reply, answer) = oneshot::async_channel();
    actor.tell(question(reply)).try_send().map_err(|_| Closed)?;
    Ok(answer)
}

/// Waits for an answer, and for the closing of the mailbox just as well: a question that slips in beside it may be left
/// lying there for good, neither taken nor dropped (G5).
async fn hear<T>(mut answer: oneshot::AsyncReceiver<T>, stopped: impl Future<Output = ()>) -> Result<T, Closed> {
    let mut stopped = pin!(stopped);
    poll_fn(|cx| {
        if let Poll::Ready(answer) = Pin::new(&mut answer).poll(cx) {
            return Poll::Ready(answer.map_err(|_| Closed));
        }
        ready!(stopped.as_mut().poll(cx));
        // Answers are given before the mailbox closes, or not at all.
        match Pin::new(&mut answer).poll(cx) {
            Poll::Ready(answer) => Poll::Ready(answer.map_err(|_| Closed)),
            Poll::Pending => Poll::Ready(Err(Closed)),
        }
    })
    .await
}

pub(crate) struct ShardActor<K: Key, V: Value> {
    /// Boxed, with all else: the future that kameo wraps around an actor returns the actor in the end, and moves room for
    /// it at every poll until then.
    inside: Box<Inside<K, V>>,
}

impl<K: Key, V: Value> Actor for ShardActor<K, V> {
    type Args = Pump<K, V>;
    type Error = Infallible;

    fn name() -> &'static str {
        "shardflight shard"
    }

    async fn on_start(pump: Self::Args, _: ActorRef<Self>) -> Result<Self, Self::Error> {
        Ok(Self { inside: Box::new(Inside::new(pump)) })
    }

    /// Both polls only ever take what is there, so this future may be dropped between polls and loses nothing. Ends the
    /// actor when the pump has been drained.
    async fn next(
        &mut self,
        _: WeakActorRef<Self>,
        mailbox: &mut MailboxReceiver<Self>,
    ) -> Result<Option<Signal<Self>>, Self::Error> {
        Ok(poll_fn(|cx| self.inside.poll(cx, |cx| mailbox.poll_recv(cx))).await)
    }

    /// Goes on: the pump keeps its state through a panic, and a stopped shard would take its keys with it.
    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        panic: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, Self::Error> {
        let message = panic.with_str(CaughtPanic::new).unwrap_or_else(|| CaughtPanic::new("not a string"));
        sight::recovered(self.inside.pump().number(), &message);
        Ok(ControlFlow::Continue(()))
    }

    async fn on_stop(&mut self, _: WeakActorRef<Self>, _: ActorStopReason) -> Result<(), Self::Error> {
        self.inside.pump().close();
        Ok(())
    }
}

impl<K: Key, V: Value> Message<Control<K>> for ShardActor<K, V> {
    type Reply = ();

    async fn handle(&mut self, control: Control<K>, _: &mut Context<Self, ()>) {
        control.carry_out(self.inside.pump()).await;
    }
}
