//! A join's work, on its way into the core: decides, when it is called, whether to ask Redis.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::{
    codec::Codec,
    config::OnUnavailable,
    drive::{self, refuse},
    fail_open::FailOpen,
    fence::Fence,
    fresh::Fresh,
    key::{ClusterKey, KeyBytes, MAX_KEY},
    node::Node,
    scripts::Keys,
    seek::Seeker,
    trace,
};
use crate::{
    task::current,
    unwind::{Contained, catch},
};

/// What a join of a [`ClusterHandle`](crate::redis::ClusterHandle) gives to the core. Named only in the types of joins.
pub type BoxedWork<V, Fut> = Box<dyn FnOnce() -> ClusterWork<V, Fut> + Send>;

pin_project! {
    /// The future of a flight's work, behind its lease. Named only in the types of joins.
    #[project = Projected]
    #[must_use = "futures do nothing unless they are polled"]
    pub enum ClusterWork<V, Fut> {
        #[doc(hidden)]
        Alone { #[pin] work: Fut },
        #[doc(hidden)]
        Across { drive: Pin<Box<dyn Future<Output = V> + Send>> },
    }
}

impl<V, Fut: Future<Output = V>> Future for ClusterWork<V, Fut> {
    type Output = V;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<V> {
        match self.project() {
            Projected::Alone { work } => work.poll(cx),
            Projected::Across { drive } => drive.as_mut().poll(cx),
        }
    }
}

impl<V, Fut> std::fmt::Debug for ClusterWork<V, Fut> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterWork").finish_non_exhaustive()
    }
}

/// What a join knows before it is polled.
pub(super) struct Prepared<C> {
    pub(super) node: Arc<Node>,
    pub(super) codec: Arc<C>,
    pub(super) coalescer: u64,
    pub(super) key: Name,
    pub(super) freshness: Asks,
}

/// What the key is called in Redis.
pub(super) enum Name {
    Known(Arc<Keys>),
    TooLong,
    /// The message of a panic.
    Panicked(String),
}

impl Name {
    pub(super) fn of(node: &Node, key: &impl ClusterKey) -> Self {
        match catch(|| KeyBytes::of(key)) {
            Ok(bytes) if bytes.as_bytes().len() > MAX_KEY => Self::TooLong,
            Ok(bytes) => Self::Known(Arc::new(Keys::new(&node.config.namespace, &bytes))),
            Err(panic) => Self::Panicked(panic.message().to_owned()),
        }
    }
}

/// What the join asks of the flights that it shares, for as long as its work is not dropped.
pub(super) struct Asks {
    fresh: Arc<Fresh>,
    /// The key's.
    hash: u64,
    is_fresh: bool,
    gone: u64,
}

impl Asks {
    pub(super) fn new(fresh: &Arc<Fresh>, key: &Name, is_fresh: bool) -> Self {
        let hash = match key {
            Name::Known(keys) => keys.hash(),
            // Their flights follow none, so it doesn't matter which.
            Name::TooLong | Name::Panicked(_) => 0,
        };
        let slot = fresh.of(hash);
        if is_fresh {
            slot.enter();
        }
        Self { fresh: Arc::clone(fresh), hash, is_fresh, gone: slot.gone() }
    }

    fn is_strict(&self) -> bool {
        self.is_fresh || self.fresh.of(self.hash).since(self.gone)
    }
}

impl Drop for Asks {
    fn drop(&mut self) {
        if self.is_fresh {
            self.fresh.of(self.hash).leave();
        }
    }
}

/// The work as the core is given it.
pub(super) fn boxed<V, C, F, Fut>(prepared: Prepared<C>, work: F) -> BoxedWork<V, Fut>
where
    V: Send + 'static,
    C: Codec<V>,
    F: FnOnce(Fence) -> Fut + Send + 'static,
    Fut: Future<Output = V> + Send + 'static,
{
    let work = Contained::new(work);
    Box::new(move || begin(prepared, work.into_inner()))
}

/// The same while Redis isn't asked: with as little as possible.
pub(super) fn boxed_alone<V, F, Fut>(node: &Arc<Node>, coalescer: u64, work: F) -> BoxedWork<V, Fut>
where
    V: Send + 'static,
    F: FnOnce(Fence) -> Fut + Send + 'static,
    Fut: Future<Output = V> + Send + 'static,
{
    let node = Arc::clone(node);
    Box::new(move || {
        if current::get().is_none_or(|current| current.coalescer != coalescer) {
            return ClusterWork::Alone { work: work(Fence::none()) };
        }
        alone(&node, FailOpen::Open, work)
    })
}

fn begin<V, C, F, Fut>(prepared: Prepared<C>, work: F) -> ClusterWork<V, Fut>
where
    V: Send + 'static,
    C: Codec<V>,
    F: FnOnce(Fence) -> Fut + Send + 'static,
    Fut: Future<Output = V> + Send + 'static,
{
    let Prepared { node, codec, coalescer, key, freshness } = prepared;
    // A key that isn't coalesced is run by each caller as if there were neither coalescer nor cluster.
    if current::get().is_none_or(|current| current.coalescer != coalescer) {
        return ClusterWork::Alone { work: work(Fence::none()) };
    }
    let keys = match key {
        Name::Known(keys) if !node.breaker.is_open() => keys,
        Name::Known(_) => return alone(&node, FailOpen::Open, work),
        Name::TooLong => return alone(&node, FailOpen::LongKey, work),
        Name::Panicked(message) => {
            let _work = Contained::new(work);
            std::panic::resume_unwind(Box::new(message))
        }
    };
    let Some(record) = current::record() else { return ClusterWork::Alone { work: work(Fence::none()) } };
    let me = node.identity.asker(coalescer);
    let seeker = Seeker { node, keys, me, is_strict: freshness.is_strict(), record };
    ClusterWork::Across { drive: Box::pin(drive::run(seeker, codec, work)) }
}

fn alone<V, F, Fut>(node: &Node, why: FailOpen, work: F) -> ClusterWork<V, Fut>
where
    F: FnOnce(Fence) -> Fut,
{
    if node.config.on_unavailable == OnUnavailable::Fail {
        let _work = Contained::new(work);
        refuse(node, why);
    }
    node.counters.fail_opens[why as usize].up();
    trace::failed_open(&node.config.namespace, why);
    ClusterWork::Alone { work: work(Fence::none()) }
}
