//! The contenders: ours detached and in place, a task per call, and the peers, each with its work in its caller and in a task.
//!
//! Every `call` is the easiest that its crate offers: no boxes, clones or wrapping futures beyond what the interface asks
//! for. Work is a closure, as most of them take it; where a future is asked for, it is called. Hashers and all options are
//! the crate's defaults.

use std::{convert::Infallible, future::Future, sync::Arc};

use futures::FutureExt;
use serde_json::{Value, json};
use tokio::task::yield_now;

const UNFAILING: &str = "nothing here fails";

/// Runs work for a key.
pub(crate) trait Contender: Clone + Send + Sync + 'static {
    fn facts() -> Facts;

    fn enter() -> Self;

    fn call<F, Fut>(&self, key: u64, work: F) -> impl Future<Output = u64> + Send
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static;

    /// Ends when the contender has accounted for exactly so many waiting callers; at once for contenders that do so in
    /// their callers' polls and drops. Ours does, too, unless its shard is out: then the message is in a queue.
    fn settled(&self, _waiters: usize) -> impl Future<Output = ()> + Send {
        async {}
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Under the default policy, `RunWork::Detached`.
    Ours,
    /// Under the policy `RunWork::InPlace`.
    OursInPlace,
    /// Shares nothing: the least that a design which runs work as a task has to pay.
    Floor,
    /// Work runs in a caller. If that caller leaves or stalls, the others notice.
    Peer,
    /// The same peer with its work in a task, so that the work goes on when its caller leaves or isn't polled. The others
    /// still get the result from that caller.
    SpawningPeer,
}

impl Role {
    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Ours | Self::OursInPlace)
    }
}

/// What is known of a contender before it runs.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// No caller gets a result that was published before its call; `false` unless that is established.
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

/// All contenders, in the order of the tables' columns.
pub(crate) fn field<V: Visitor>(visitor: &V) -> Vec<(Facts, V::Output)> {
    fn meet<C: Contender, V: Visitor>(visitor: &V) -> (Facts, V::Output) {
        (C::facts(), visitor.visit::<C>())
    }
    vec![
        meet::<Shardflight, V>(visitor),
        meet::<InPlace, V>(visitor),
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

/// Ours, with work that its leader polls until a second caller joins.
#[derive(Clone)]
struct InPlace(Shardflight);

impl Contender for InPlace {
    fn facts() -> Facts {
        Facts { name: "shardflight, in place".into(), role: Role::OursInPlace, ..Shardflight::facts() }
    }

    fn enter() -> Self {
        let builder = shardflight::Coalescer::builder().run_work(shardflight::RunWork::InPlace);
        Self(Shardflight(builder.build().expect(UNFAILING).handle()))
    }

    fn call<F, Fut>(&self, key: u64, work: F) -> impl Future<Output = u64> + Send
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static,
    {
        self.0.call(key, work)
    }

    fn settled(&self, waiters: usize) -> impl Future<Output = ()> + Send {
        self.0.settled(waiters)
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

/// A peer whose work goes into a task: the nearest it comes to our guarantees, at the price of a task.
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

/// A cache of capacity 0: its map of values is off, and the map of waiting callers, by which `get_with` coalesces, stays.
///
/// Shared by an `Arc`, as a clone of its own costs several.
#[derive(Clone)]
struct Moka(Arc<moka::future::Cache<u64, u64>>);

impl Contender for Moka {
    // A cache promises neither, and neither is established without its map.
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
