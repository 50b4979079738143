//! The kameo actor around a pump: the lane is its data plane, kameo's mailbox its control plane.

use std::{convert::Infallible, future::poll_fn, ops::ControlFlow, sync::Arc, task::Poll};

use kameo::{
    Actor,
    actor::{ActorRef, PreparedActor, WeakActorRef},
    error::{ActorStopReason, PanicError},
    mailbox::{self, MailboxReceiver, Signal},
    message::{Context, Message},
};
use tokio::runtime::Handle as Runtime;

use crate::{
    error::{CaughtPanic, Closed},
    lane::Lane,
    live::{Key, LiveLane, Value},
    policy::OnAbandon,
    pump::Pump,
    shard::Shard,
    stats::Stats,
};

/// One shard, from outside.
pub(crate) struct Port<K: Key, V: Value> {
    pub(crate) lane: Arc<LiveLane<K, V>>,
    /// Owning it is what keeps the actor alive.
    actor: ActorRef<ShardActor<K, V>>,
}

impl<K: Key, V: Value> Port<K, V> {
    /// Spawns a shard's actor on `runtime`.
    pub(crate) fn open(runtime: &Runtime, on_abandon: OnAbandon) -> Self {
        let lane = Arc::new(Lane::new());
        let pump = Pump::new(Arc::clone(&lane), Shard::new(on_abandon), runtime.clone());
        // Unbounded, so that asking never waits; whoever asks waits for its answer, which bounds the queue by callers.
        let actor = PreparedActor::new(mailbox::unbounded());
        let port = Self { lane, actor: actor.actor_ref().clone() };
        let _inside = runtime.enter();
        actor.spawn(pump);
        port
    }

    /// Puts a question to the shard. It is answered after everything that was in the lane before.
    pub(crate) fn ask(&self, control: Control<K>) -> Result<(), Closed> {
        self.actor.tell(control).try_send().map_err(|_| Closed)
    }
}

/// The control plane.
pub(crate) enum Control<K> {
    Forget { hash: u64, key: K, reply: oneshot::Sender<Forgotten<K>> },
    ForgetAll { reply: oneshot::Sender<usize> },
    Stats { reply: oneshot::Sender<Stats> },
    ResetStats { reply: oneshot::Sender<()> },
}

pub(crate) struct Forgotten<K> {
    pub(crate) was_live: Result<bool, CaughtPanic>,
    /// Back to whose it is, to be dropped there.
    pub(crate) key: K,
}

pub(crate) struct ShardActor<K: Key, V: Value> {
    pump: Pump<K, V>,
}

impl<K: Key, V: Value> Actor for ShardActor<K, V> {
    type Args = Pump<K, V>;
    type Error = Infallible;

    fn name() -> &'static str {
        "shardflight shard"
    }

    async fn on_start(pump: Self::Args, _: ActorRef<Self>) -> Result<Self, Self::Error> {
        Ok(Self { pump })
    }

    /// Pumps the lane for as long as kameo has nothing to say. Both polls only ever take what is there, so this future
    /// may be dropped between polls and loses nothing.
    async fn next(
        &mut self,
        _: WeakActorRef<Self>,
        mailbox: &mut MailboxReceiver<Self>,
    ) -> Result<Option<Signal<Self>>, Self::Error> {
        poll_fn(|cx| {
            if let Poll::Ready(signal) = mailbox.poll_recv(cx) {
                return Poll::Ready(Ok(signal));
            }
            self.pump.poll(cx);
            Poll::Pending
        })
        .await
    }

    /// Goes on: the pump keeps its state through a panic, and a stopped shard would take its keys with it.
    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        _: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, Self::Error> {
        Ok(ControlFlow::Continue(()))
    }

    async fn on_stop(&mut self, _: WeakActorRef<Self>, _: ActorStopReason) -> Result<(), Self::Error> {
        self.pump.close();
        Ok(())
    }
}

impl<K: Key, V: Value> Message<Control<K>> for ShardActor<K, V> {
    type Reply = ();

    async fn handle(&mut self, control: Control<K>, _: &mut Context<Self, ()>) {
        self.pump.catch_up().await;
        // Whoever no longer waits for its reply has lost nothing but the reply.
        match control {
            Control::Forget { hash, key, reply } => {
                let was_live = self.pump.control(|shard, _, _| shard.forget(hash, &key));
                if let Err(unheard) = reply.send(Forgotten { was_live, key }) {
                    self.pump.discard(unheard.into_inner().key);
                }
            }
            Control::ForgetAll { reply } => {
                let forgotten = self.pump.control(|shard, _, _| shard.forget_all());
                let _ = reply.send(forgotten);
            }
            Control::Stats { reply } => {
                let stats = self.pump.control(Shard::stats);
                let _ = reply.send(stats);
            }
            Control::ResetStats { reply } => {
                self.pump.control(|shard, _, _| shard.reset_stats());
                let _ = reply.send(());
            }
        }
    }
}
