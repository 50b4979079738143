//! A process's part in the cluster: what all flights of a [`Cluster`](crate::redis::Cluster) share.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use tokio::{runtime::Handle as Runtime, task::JoinHandle};

use super::{
    breaker::Breaker,
    config::Config,
    counters::Counters,
    errand::Errands,
    fresh::Fresh,
    heartbeat::Heartbeat,
    key::KeyBytes,
    lease::{Asker, Held, LeaseId, Message, Reply, Time},
    link::{Connection, Link, supervise},
    mailboxes::Mailboxes,
    scripts::{self, Call, Keys},
    server::Address,
    trace,
};
use crate::sync::now;

pub(super) struct Node {
    /// Drawn at random: a process that starts again is another node.
    id: u64,
    pub(super) config: Config,
    pub(super) address: Address,
    /// Where the server tells this node of ends of leases.
    pub(super) channel: String,
    pub(super) breaker: Breaker,
    pub(super) link: Arc<Link>,
    pub(super) mailboxes: Arc<Mailboxes>,
    pub(super) heartbeat: Heartbeat,
    pub(super) errands: Errands,
    fresh: Mutex<HashMap<u64, Weak<Fresh>>>,
    pub(super) counters: Counters,
    /// The greatest token that this node has seen. What it asks for gets a greater one, though the server's clock be set back.
    seen: AtomicU64,
    numbers: AtomicU64,
    random: AtomicU64,
    began: Instant,
    supervisor: Mutex<Option<JoinHandle<()>>>,
}

impl Node {
    pub(super) fn new(config: Config, address: Address) -> Self {
        let random = RandomState::new();
        let id = random.hash_one(0);
        Self {
            id,
            channel: format!("shardflight:{}:{id:016x}", config.namespace),
            breaker: Breaker::default(),
            link: Arc::new(Link::new()),
            mailboxes: Arc::default(),
            heartbeat: Heartbeat::new(Held::new(config.rules.lease)),
            errands: Errands::default(),
            fresh: Mutex::default(),
            counters: Counters::default(),
            seen: AtomicU64::new(0),
            numbers: AtomicU64::new(0),
            random: AtomicU64::new(random.hash_one(1)),
            began: now(),
            supervisor: Mutex::new(None),
            config,
            address,
        }
    }

    /// A flight of that coalescer.
    pub(super) fn asker(&self, coalescer: u64) -> Asker {
        Asker { node: self.id, coalescer, number: self.numbers.fetch_add(1, Ordering::Relaxed) }
    }

    pub(super) fn now(&self) -> Time {
        now().saturating_duration_since(self.began)
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

    pub(super) fn saw(&self, lease: LeaseId) {
        self.seen.fetch_max(lease.token, Ordering::Relaxed);
    }

    /// Tokens that this node has seen are less.
    pub(super) fn least_token(&self) -> u64 {
        self.seen.load(Ordering::Relaxed) + 1
    }

    pub(super) fn ask(&self, keys: &Keys, me: Asker, followed: Option<LeaseId>) -> Call {
        scripts::ask(keys, me, followed, &self.channel, self.config.rules.lease, self.least_token())
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

    /// Has the connection made, if nobody does yet or the runtime that did is gone.
    pub(super) fn keep_connected(self: &Arc<Self>) {
        let mut supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
        if supervisor.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        if let Ok(runtime) = Runtime::try_current() {
            *supervisor = Some(runtime.spawn(supervise(Arc::downgrade(self), Arc::clone(&self.link))));
        }
    }

    /// Whether the scripts run there: takes a lease that is this node's alone, and gives it back.
    pub(super) async fn probe(self: &Arc<Self>, connection: &mut Connection) -> bool {
        // No key begins with anything but a digit.
        let keys = Keys::new(&self.config.namespace, &KeyBytes::raw(format!("probe:{:016x}", self.id)));
        let me = self.asker(0);
        let asked = run(connection, &self.ask(&keys, me, None)).await;
        let Some(Reply::Leads(lease)) = asked.ok().and_then(scripts::read_ask) else { return false };
        let message = Message::Released;
        let call = scripts::publish(&keys, lease, &message, 0, self.config.rules.lease);
        run(connection, &call).await.is_ok()
    }
}

/// By the script's hash, and by its code where the server doesn't know that.
pub(super) async fn run(connection: &mut Connection, call: &Call) -> ::redis::RedisResult<::redis::Value> {
    match connection.query(&call.by_hash()).await {
        Err(error) if error.kind() == ::redis::ErrorKind::Server(::redis::ServerErrorKind::NoScript) => {
            connection.query(&call.by_code()).await
        }
        answer => answer,
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(task) = self.supervisor.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}
