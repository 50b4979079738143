//! The one connection to Redis that a node has: for commands and for pushes.

mod connection;
mod supervisor;

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, watch};

#[cfg(feature = "redis-sentinel")]
pub(super) use self::connection::sentinel;
pub(super) use self::{connection::Connection, supervisor::supervise};

/// How the connection stands. Flights that follow watch it: what was pushed between two generations is lost.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    pub(super) connection: Option<Connection>,
    /// Counts connections, and gaps within one.
    pub(super) generation: u64,
    /// Redis is not asked any more.
    pub(super) is_open: bool,
}

#[derive(Debug)]
pub(super) struct Link {
    standing: watch::Sender<Standing>,
    /// Tells the supervisor to look whether the connection is still good.
    doubt: Notify,
    /// Of the last attempt to connect: what an earlier connection says of its end is of no interest.
    attempt: AtomicU64,
    /// The last connection that has ended, which may have been before it was taken into use.
    ended: AtomicU64,
}

impl Link {
    pub(super) fn new() -> Self {
        Self {
            standing: watch::Sender::default(),
            doubt: Notify::new(),
            attempt: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// A connection of this generation or a later one, once there is one. `None` if Redis is not asked any more.
    pub(super) async fn connection(&self, since: u64) -> Option<(Connection, u64)> {
        let mut standing = self.watch();
        let is_decided =
            |standing: &Standing| standing.is_open || standing.connection.is_some() && standing.generation >= since;
        let standing = standing.wait_for(is_decided).await.ok()?;
        let Standing { connection, generation, is_open } = &*standing;
        if *is_open { None } else { Some((connection.clone()?, *generation)) }
    }

    /// Once there is a connection, and be it after the breaker has closed.
    pub(super) async fn connected_again(&self) {
        let _ = self.watch().wait_for(|standing| standing.connection.is_some()).await;
    }

    pub(super) fn is_connected(&self) -> bool {
        self.standing.borrow().connection.is_some()
    }

    fn connected(&self, connection: Connection) {
        self.standing.send_modify(|standing| {
            *standing = Standing { connection: Some(connection), generation: standing.generation + 1, is_open: false };
        });
        let attempt = self.attempt.load(Ordering::SeqCst);
        if self.ended.load(Ordering::SeqCst) == attempt {
            self.gap(attempt);
        }
    }

    fn next_attempt(&self) -> u64 {
        self.attempt.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Pushes may have been lost. A connection to a Redis Cluster repairs itself; another one is gone.
    fn gap(&self, attempt: u64) {
        if attempt != self.attempt.load(Ordering::SeqCst) {
            return;
        }
        self.ended.store(attempt, Ordering::SeqCst);
        self.standing.send_modify(|standing| {
            standing.generation += 1;
            if !standing.connection.as_ref().is_some_and(Connection::repairs_itself) {
                standing.connection = None;
            }
        });
        self.doubt.notify_one();
    }

    /// The breaker has opened: the connection is dropped, those who follow go alone, and the supervisor takes over.
    pub(super) fn opened(&self) {
        self.standing.send_modify(|standing| (standing.connection, standing.is_open) = (None, true));
        self.doubt.notify_one();
    }
}
