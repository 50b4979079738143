//! Who takes part: ours, a task per call, and the peers, each of those with its work in its caller and in a task.
//!
//! Every `call` is what its crate makes easiest for it: no boxes, no clones and no wrapping futures beyond what its
//! interface asks for. Work is a closure, as most of them take it; where a future is asked for, it is called. Hashers and everything else that can be chosen are as the crate has them by default.

use std::{convert::Infallible, future::Future, sync::Arc};

use futures::FutureExt;
use serde_json::{Value, json};
use tokio::task::yield_now;

const UNFAILING: &str = "nothing here fails";

/// Somebody who can run work for a key.
pub(crate) trait Contender: Clone + Send + Sync + 'static {
    fn facts() -> Facts;

    fn enter() -> Self;

    fn call<F, Fut>(&self, key: u64, work: F) -> impl Future<Output = u64> + Send
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static;

    /// Ends when the contender knows of exactly so many waiting callers; at once for those that do all they do in their
    /// callers' polls and drops.
    fn settled(&self, _waiters: usize) -> impl Future<Output = ()> + Send {
        async {}
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Ours,
    /// Shares nothing: what any design that runs work detached has to pay.
    Floor,
    /// Work runs in a caller, whose leaving or stalling is felt by the others.
    Peer,
    /// The same peer with its work in a task, so that the work goes on when its caller leaves or isn't polled. The others
    /// hear of its end from that caller all the same.
    SpawningPeer,
}

/// What can be said of a contender before the start.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// Nobody gets a result that was published before their call; `false` unless that is established.
    pub(crate) fresh: bool,
    /// Callers that left leave nothing behind; `false` unless that is established.
    pub(crate) leak_free: bool,
}

impl Facts {
    fn peer(name: &str, fresh: bool, leak_free: bool) -> Self {
        Self { name: name.into(), role: Role::Peer, fresh, leak_free }
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "role": format!("{:?}", self.role),
            "fresh": self.fresh,
            "leak_free": self.leak_free,
        })
    }
}

/// Something to be done with each contender's type.
pub(crate) trait Visitor {
    type Output;
    fn visit<C: Contender>(&self) -> Self::Output;
}

/// All of them, in the order of the tables' columns.
pub(crate) fn field<V: Visitor>(visitor: &V) -> Vec<(Facts, V::Output)> {
    fn meet<C: Contender, V: Visitor>(visitor: &V) -> (Facts, V::Output) {
        (C::facts(), visitor.visit::<C>())
    }
    vec![
        meet::<Shardflight, V>(visitor),
        meet::<Spawn, V>(visitor),
        meet::<Uniflight, V>(visitor),
        meet::<Spawned<Uniflight>, V>(visitor),
        meet::<AsyncSingleflight, V>(visitor),
        meet::<Spawned<AsyncSingleflight>, V>(visitor),
        meet::<SingleflightAsync, V>(visitor),
        meet::<Spawned<SingleflightAsync>, V>(visitor),
        meet::<RsSingleflight, V>(visitor),
        meet::<Spawned<RsSingleflight>, V>(visitor),
        meet::<Moka, V>(visitor),
        meet::<Spawned<Moka>, V>(visitor),
    ]
}

#[derive(Clone)]
struct Shardflight(shardflight::Handle<u64, u64>);

impl Contender for Shardflight {
    fn facts() -> Facts {
        Facts { name: "shardflight".into(), role: Role::Ours, fresh: true, leak_free: true }
    }

    fn enter() -> Self {
        Self(shardflight::Coalescer::new().handle())
    }

    fn call<F, Fut>(&self, key: u64, work: F) -> impl Future<Output = u64> + Send
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static,
    {
        self.0.join(key, work).map(|answer| answer.expect(UNFAILING))
    }

    async fn settled(&self, waiters: usize) {
        while self.0.stats().await.expect(UNFAILING).waiters != waiters {
            yield_now().await;
        }
    }
}

#[derive(Clone)]
struct Spawn;

impl Contender for Spawn {
    fn facts() -> Facts {
        Facts { name: "tokio::spawn".into(), role: Role::Floor, fresh: true, leak_free: true }
    }

    fn enter() -> Self {
        Self
    }

    fn call<F, Fut>(&self, _: u64, work: F) -> impl Future<Output = u64> + Send
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static,
    {
        detached(work())
    }
}

async fn detached(work: impl Future<Output = u64> + Send + 'static) -> u64 {
    tokio::spawn(work).await.expect(UNFAILING)
}

/// A peer whose work goes into a task: as near as it comes to what ours promises, at what that costs.
#[derive(Clone)]
struct Spawned<C>(C);

impl<C: Contender> Contender for Spawned<C> {
    fn facts() -> Facts {
        let facts = C::facts();
        Facts { name: format!("{} + spawn", facts.name), role: Role::SpawningPeer, ..facts }
    }

    fn enter() -> Self {
        Self(C::enter())
    }

    fn call<F, Fut>(&self, key: u64, work: F) -> impl Future<Output = u64> + Send
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static,
    {
        self.0.call(key, || detached(work()))
    }
}

#[derive(Clone)]
struct Uniflight(Arc<uniflight::Merger<u64, u64>>);

impl Contender for Uniflight {
    fn facts() -> Facts {
        Facts::peer("uniflight", false, false)
    }

    fn enter() -> Self {
        Self(Arc::new(uniflight::Merger::new()))
    }

    fn call<F, Fut>(&self, key: u64, work: F) -> impl Future<Output = u64> + Send
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static,
    {
        self.0.execute(&key, work).map(|answer| answer.expect(UNFAILING))
    }
}

/// In its group for work that can't fail.
#[derive(Clone)]
struct AsyncSingleflight(Arc<async_singleflight::UnaryGroup<u64, u64>>);

impl Contender for AsyncSingleflight {
    fn facts() -> Facts {
        Facts::peer("async_singleflight", false, false)
    }

    fn enter() -> Self {
        Self(Arc::new(async_singleflight::UnaryGroup::new()))
    }

    // It borrows the key, so something around its future has to own it.
    async fn call<F, Fut>(&self, key: u64, work: F) -> u64
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static,
    {
        self.0.work(&key, work()).await
    }
}

#[derive(Clone)]
struct SingleflightAsync(Arc<singleflight_async::SingleFlight<u64, u64>>);

impl Contender for SingleflightAsync {
    fn facts() -> Facts {
        Facts::peer("singleflight-async", true, false)
    }

    fn enter() -> Self {
        Self(Arc::new(singleflight_async::SingleFlight::new()))
    }

    fn call<F, Fut>(&self, key: u64, work: F) -> impl Future<Output = u64> + Send
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static,
    {
        self.0.work(key, work)
    }
}

#[derive(Clone)]
struct RsSingleflight(rs_singleflight::Group<u64, u64, Infallible>);

impl Contender for RsSingleflight {
    fn facts() -> Facts {
        Facts::peer("rs-singleflight", true, true)
    }

    fn enter() -> Self {
        Self(rs_singleflight::Group::new())
    }

    fn call<F, Fut>(&self, key: u64, work: F) -> impl Future<Output = u64> + Send
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static,
    {
        self.0.do_call(key, || work().map(Ok)).map(|answer| match answer {
            Ok(value) => value,
            Err(never) => match never {},
        })
    }
}

/// A cache of capacity 0. That switches its map off, which is looked into before and written after the work, and leaves
/// the map of callers that wait for the same key, by which `get_with` coalesces: what it has to do without remembering.
///
/// Shared by an `Arc`, as a clone of its own costs several.
#[derive(Clone)]
struct Moka(Arc<moka::future::Cache<u64, u64>>);

impl Contender for Moka {
    // A cache promises neither, and nobody has measured it without its map.
    fn facts() -> Facts {
        Facts::peer("moka", false, false)
    }

    fn enter() -> Self {
        Self(Arc::new(moka::future::Cache::builder().max_capacity(0).build()))
    }

    fn call<F, Fut>(&self, key: u64, work: F) -> impl Future<Output = u64> + Send
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static,
    {
        self.0.get_with(key, work())
    }
}
