//! The task that renews the leases of flights that take long.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicBool, Ordering},
};

use futures_util::{StreamExt, stream};
use tokio::time::sleep;

use super::{
    lease::{Held, LeaseId, Renewable},
    node::Node,
    scripts::Keys,
};
use crate::task::current::AnyRecord;

/// Renewals under way at a time.
const AT_ONCE: usize = 64;

/// A flight that holds a lease, for its renewals.
#[derive(Clone)]
pub(super) struct Holder {
    pub(super) keys: Arc<Keys>,
    pub(super) record: Weak<dyn AnyRecord>,
    /// The server has said that the lease is another's.
    pub(super) is_lost: Arc<AtomicBool>,
}

impl Renewable for Holder {
    fn is_live(&self) -> bool {
        self.record.upgrade().is_some_and(|record| !record.is_forgotten())
    }
}

/// The leases that a node holds, and the task that renews them while there are any.
pub(super) struct Heartbeat(Mutex<Beating>);

struct Beating {
    held: Held<Holder>,
    /// There is a task that will look.
    is_beating: bool,
}

impl Heartbeat {
    pub(super) fn new(held: Held<Holder>) -> Self {
        Self(Mutex::new(Beating { held, is_beating: false }))
    }

    pub(super) fn len(&self) -> usize {
        self.lock().held.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Beating> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lease, until this is dropped: before it is given back.
pub(super) struct Holding {
    node: Arc<Node>,
    lease: LeaseId,
}

impl Holding {
    pub(super) fn new(node: &Arc<Node>, lease: LeaseId, holder: Holder) -> Self {
        let mut beating = node.heartbeat.lock();
        beating.held.hold(lease, holder, node.now());
        if !beating.is_beating
            && let Some(runtime) = node.connected()
        {
            beating.is_beating = true;
            runtime.spawn(beat(Arc::downgrade(node)));
        }
        drop(beating);
        Self { node: Arc::clone(node), lease }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let holder = self.node.heartbeat.lock().held.release(self.lease);
        // After the lock: a record may be the last of its flight.
        drop(holder);
    }
}

async fn beat(node: Weak<Node>) {
    loop {
        let Some(every) = node.upgrade().map(|node| Held::<Holder>::every(node.config.rules.lease)) else { return };
        sleep(every).await;
        let Some(node) = node.upgrade() else { return };
        let due = {
            let mut beating = node.heartbeat.lock();
            if beating.held.is_empty() {
                // Under the lock, so that the next lease finds that there is no task.
                beating.is_beating = false;
                return;
            }
            beating.held.due(node.now())
        };
        let renewals = stream::iter(due).for_each_concurrent(AT_ONCE, |(lease, holder)| {
            let node = &node;
            async move {
                if node.renew(&holder.keys, lease).await == Ok(false) {
                    holder.is_lost.store(true, Ordering::Relaxed);
                }
            }
        });
        renewals.await;
    }
}
