//! A process's part in the cluster: what all flights of a [`Cluster`](crate::redis::Cluster) share.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    process,
    sync::{
        Arc, Mutex, Once, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use ::redis::RedisResult;
use tokio::{runtime::Handle as Runtime, task::spawn_blocking, time::sleep};

use super::{
    background::Background,
    breaker::Breaker,
    config::Config,
    counters::Counters,
    fresh::Fresh,
    heartbeat::Heartbeat,
    key::KeyBytes,
    lease::{Asker, Held, Identity, LeaseId, Message, Reply, Time},
    link::{Connection, Link, supervise},
    mailboxes::Mailboxes,
    observer::ClusterReporter,
    operations::run,
    scripts::{self, Call, Keys},
    server::Address,
    stats::ClusterStats,
    trace,
};
use crate::counter::Counter;

pub(super) struct Node {
    /// With a number of its own: a process that starts again is another node.
    pub(super) identity: Identity,
    pub(super) config: Config,
    pub(super) address: Address,
    /// Where the server tells this node of ends of leases.
    pub(super) channel: String,
    pub(super) breaker: Breaker,
    pub(super) link: Arc<Link>,
    pub(super) mailboxes: Arc<Mailboxes>,
    pub(super) heartbeat: Heartbeat,
    /// Calls that go on after their time.
    pub(super) late: AtomicUsize,
    fresh: Mutex<HashMap<u64, Weak<Fresh>>>,
    pub(super) counters: Counters,
    random: AtomicU64,
    began: Instant,
    background: Background,
    supervised: Once,
    reports: Option<Reports>,
}

/// To whom the node's numbers are reported, and how often.
#[derive(Clone)]
pub(super) struct Reports {
    pub(super) every: Duration,
    pub(super) reporter: Arc<dyn ClusterReporter>,
}

impl Node {
    pub(super) fn new(config: Config, address: Address, reports: Option<Reports>) -> Self {
        let random = RandomState::new();
        let id = number(&random, process::id(), SystemTime::now());
        Self {
            identity: Identity::new(id),
            channel: format!("shardflight:{}:{id:016x}", config.namespace),
            breaker: Breaker::default(),
            link: Arc::new(Link::new()),
            mailboxes: Arc::default(),
            heartbeat: Heartbeat::new(Held::new(config.rules.lease)),
            late: AtomicUsize::new(0),
            fresh: Mutex::default(),
            counters: Counters::default(),
            random: AtomicU64::new(random.hash_one(id)),
            began: Instant::now(),
            background: Background::default(),
            supervised: Once::new(),
            reports,
            config,
            address,
        }
    }

    pub(super) fn now(&self) -> Time {
        self.began.elapsed()
    }

    pub(super) fn seed(&self) -> u64 {
        self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
    }

    /// From 0.0 to 1.0, by `SplitMix64`.
    pub(super) fn random(&self) -> f64 {
        let mut mixed = self.seed();
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn ask(&self, keys: &Keys, me: Asker, followed: Option<LeaseId>) -> Call {
        scripts::ask(keys, me, followed, &self.channel, self.config.rules.lease, self.identity.least_token())
    }

    pub(super) fn stats(&self) -> ClusterStats {
        let Node { counters, breaker, link, mailboxes, heartbeat, .. } = self;
        ClusterStats {
            led: counters.led.get(),
            followed: counters.followed.get(),
            takeovers: counters.takeovers.get(),
            fenced_out: counters.fenced_out.get(),
            refusals: counters.refusals.get(),
            too_large: counters.too_large.get(),
            encode_errors: counters.encode_errors.get(),
            publish_failures: counters.publish_failures.get(),
            round_trips: counters.round_trips.get(),
            renewals: counters.renewals.get(),
            openings: counters.openings.get(),
            is_open: breaker.is_open(),
            is_connected: link.is_connected(),
            leases: heartbeat.len(),
            waiting: mailboxes.len(),
            fail_opens: counters.fail_opens.each_ref().map(Counter::get),
        }
    }

    /// What the handles of that coalescer share. Coalescers that are gone leave nothing behind.
    pub(super) fn fresh(&self, coalescer: u64) -> Arc<Fresh> {
        let mut all = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fresh) = all.get(&coalescer).and_then(Weak::upgrade) {
            return fresh;
        }
        all.retain(|_, fresh| fresh.strong_count() > 0);
        let fresh = Arc::default();
        all.insert(coalescer, Arc::downgrade(&fresh));
        fresh
    }

    /// Of a call, or of an attempt to connect.
    pub(super) fn note_failure(&self) {
        if self.breaker.failed() {
            trace::opened(&self.config.namespace);
            self.counters.openings.up();
            self.link.opened();
        }
    }

    /// The node's own thread, on which the connection is made and kept from the first call on.
    pub(super) fn connected(self: &Arc<Self>) -> Option<&Runtime> {
        let runtime = self.background.runtime()?;
        self.supervised.call_once(|| {
            runtime.spawn(supervise(Arc::downgrade(self), Arc::clone(&self.link)));
            if let Some(reports) = self.reports.clone() {
                runtime.spawn(report(Arc::downgrade(self), reports));
            }
        });
        Some(runtime)
    }

    /// Has the key's lease moved aside, if Redis lets it.
    pub(super) async fn detached(self: &Arc<Self>, keys: Arc<Keys>) {
        let Some(runtime) = self.connected() else { return };
        let node = Arc::clone(self);
        let _ = runtime.spawn(async move { node.detach_any(&keys).await }).await;
    }

    /// Whether the scripts run there: takes a lease that is this node's alone, and gives it back.
    pub(super) async fn probe(self: &Arc<Self>, connection: &mut Connection) -> RedisResult<bool> {
        // Another each time, and not for long: a probe that is cut off gives nothing back. No key begins with anything but a digit.
        let (me, time) = (self.identity.asker(0), 4 * self.config.op_timeout);
        let keys = Keys::new(&self.config.namespace, &KeyBytes::raw(format!("probe:{me}")));
        let ask = scripts::ask(&keys, me, None, &self.channel, time, self.identity.least_token());
        let Some(Reply::Leads(lease)) = scripts::read_ask(run(connection, &ask).await?) else { return Ok(false) };
        let message = Message::Released;
        let call = scripts::publish(&keys, lease, &message, 0, time);
        run(connection, &call).await?;
        Ok(true)
    }
}

/// Of a node, and no other's. Processes that were forked from one thread share their random state, so it alone doesn't tell them apart.
fn number(random: &RandomState, process: u32, now: SystemTime) -> u64 {
    random.hash_one((process, now))
}

/// A recorder is user code, so it is called on one of the runtime's threads for what blocks.
async fn report(node: Weak<Node>, Reports { every, reporter }: Reports) {
    loop {
        sleep(every).await;
        let Some(totals) = node.upgrade().map(|node| node.stats()) else { return };
        let reporter = Arc::clone(&reporter);
        let _ = spawn_blocking(move || reporter.report(&totals, false)).await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(Reports { reporter, .. }) = &self.reports {
            // Nothing of it is left, though its link goes after this.
            let gone = ClusterStats { is_open: false, is_connected: false, leases: 0, waiting: 0, ..self.stats() };
            reporter.report(&gone, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_share_their_random_state_have_other_numbers() {
        let (random, now) = (RandomState::new(), SystemTime::now());
        assert_ne!(number(&random, 1, now), number(&random, 2, now));
        // In containers, two may have the same process number.
        assert_ne!(number(&random, 1, now), number(&random, 1, now + Duration::from_micros(1)));
        assert_ne!(number(&random, 1, now), number(&RandomState::new(), 1, now));
    }
}
