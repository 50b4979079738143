//! The kameo actor around a pump: the lane is its data plane, kameo's mailbox its control plane.

use std::{convert::Infallible, future::poll_fn, ops::ControlFlow};

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

    /// Puts a question to the shard. It is answered after everything that was in the lane before.
    pub(crate) fn ask(&self, control: Control<K>) -> Result<(), Closed> {
        self.actor.tell(control).try_send().map_err(|_| Closed)
    }
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
