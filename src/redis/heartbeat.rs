//! The task that renews the leases of flights that take long.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicBool, Ordering},
};

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{
    lease::{Held, LeaseId, Renewable, Time},
    node::Node,
    scripts::Keys,
};
use crate::task::current::AnyRecord;

/// Renewals under way at a time, of those that were due at the same look.
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

    /// What to renew now. `None` if there is nothing held: the task that looks ends.
    fn due(&self, now: Time) -> Option<Vec<(LeaseId, Holder)>> {
        let mut beating = self.lock();
        // Under the lock, so that the next lease finds that there is no task.
        beating.is_beating = !beating.held.is_empty();
        beating.is_beating.then(|| beating.held.due(now))
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
    /// `asked`: when the lease was asked for. The server may have granted it right then.
    pub(super) fn new(node: &Arc<Node>, lease: LeaseId, holder: Holder, asked: Time) -> Self {
        let mut beating = node.heartbeat.lock();
        beating.held.hold(lease, holder, asked);
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

/// Looks at fixed moments, and waits for nothing else: however long renewals take, they hold up no others.
async fn beat(node: Weak<Node>) {
    let Some(every) = node.upgrade().map(|node| Held::<Holder>::every(node.config.rules.lease)) else { return };
    let mut looks = interval_at(Instant::now() + every, every);
    // After a stall, one look makes up for all that were missed.
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        looks.tick().await;
        let Some(node) = node.upgrade() else { return };
        let now = node.now();
        let Some(due) = node.heartbeat.due(now) else { return };
        if !due.is_empty() {
            tokio::spawn(renew(node, due, now));
        }
    }
}

async fn renew(node: Arc<Node>, due: Vec<(LeaseId, Holder)>, now: Time) {
    let renewals = stream::iter(due).for_each_concurrent(AT_ONCE, |(lease, holder)| {
        let node = &node;
        async move {
            if !node.heartbeat.lock().held.begins(lease) {
                return;
            }
            let Ok(was_there) = node.renew(&holder.keys, lease).await else { return };
            node.heartbeat.lock().held.renewed(lease, now);
            if !was_there {
                holder.is_lost.store(true, Ordering::Relaxed);
            }
        }
    });
    renewals.await;
}
