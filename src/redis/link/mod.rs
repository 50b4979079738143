//! The one connection to Redis that a node has: for commands and for pushes.

mod connection;
mod supervisor;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{Notify, watch};

#[cfg(feature = "redis-sentinel")]
pub(super) use self::connection::sentinel;
pub(super) use self::{
    connection::{Connection, watchful},
    supervisor::supervise,
};

/// How the connection stands. Flights that follow watch it: what was pushed between two generations is lost.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    pub(super) connection: Option<Connection>,
    /// Counts connections, and gaps within one.
    pub(super) generation: u64,
    /// The attempt that the connection came of: what it is called.
    pub(super) attempt: u64,
    /// Redis is not asked any more.
    pub(super) is_open: bool,
}

/// A connection to make calls on.
pub(super) struct Line {
    pub(super) connection: Connection,
    pub(super) generation: u64,
    pub(super) attempt: u64,
}

#[derive(Debug)]
pub(super) struct Link {
    standing: watch::Sender<Standing>,
    /// Tells the supervisor to look whether the connection is still good.
    doubt: Notify,
    /// A call on the connection has had no answer for so long that there will be none.
    is_silent: AtomicBool,
    /// Of the last attempt to connect.
    attempt: AtomicU64,
    /// The last attempt whose connection has ended, which may have been before it was taken into use.
    ended: AtomicU64,
}

impl Link {
    pub(super) fn new() -> Self {
        Self {
            standing: watch::Sender::default(),
            doubt: Notify::new(),
            is_silent: AtomicBool::new(false),
            attempt: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// A connection of this generation or a later one, once there is one. `None` if Redis is not asked any more.
    pub(super) async fn connection(&self, since: u64) -> Option<Line> {
        let mut standing = self.watch();
        let is_decided =
            |standing: &Standing| standing.is_open || standing.connection.is_some() && standing.generation >= since;
        let standing = standing.wait_for(is_decided).await.ok()?;
        let Standing { connection, generation, attempt, is_open } = &*standing;
        if *is_open {
            return None;
        }
        Some(Line { connection: connection.clone()?, generation: *generation, attempt: *attempt })
    }

    /// Once there is a connection, and be it after the breaker has closed.
    pub(super) async fn connected_again(&self) {
        let _ = self.watch().wait_for(|standing| standing.connection.is_some()).await;
    }

    pub(super) fn is_connected(&self) -> bool {
        self.standing.borrow().connection.is_some()
    }

    fn current(&self) -> Option<Connection> {
        self.standing.borrow().connection.clone()
    }

    /// Takes the connection of the last attempt into use.
    fn connected(&self, connection: Connection) {
        let attempt = self.attempt.load(Ordering::SeqCst);
        self.standing.send_modify(|standing| {
            let generation = standing.generation + 1;
            *standing = Standing { connection: Some(connection), generation, attempt, is_open: false };
        });
        self.is_silent.store(false, Ordering::SeqCst);
        if self.ended.load(Ordering::SeqCst) == attempt {
            self.gap(attempt);
        }
    }

    fn next_attempt(&self) -> u64 {
        self.attempt.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Pushes may have been lost. A connection to a Redis Cluster repairs itself; another one is gone.
    fn gap(&self, attempt: u64) {
        if attempt == self.attempt.load(Ordering::SeqCst) {
            self.ended.store(attempt, Ordering::SeqCst);
        }
        // What a connection says of its end that is no longer in use is of no interest.
        let is_in_use = self.standing.send_if_modified(|standing| {
            let is_in_use = standing.attempt == attempt;
            if is_in_use {
                standing.generation += 1;
                if !standing.connection.as_ref().is_some_and(Connection::repairs_itself) {
                    standing.connection = None;
                }
            }
            is_in_use
        });
        if is_in_use {
            self.doubt.notify_one();
        }
    }

    /// A call has waited for an answer on the connection of this attempt for as long as an answer is of any use.
    pub(super) fn silent(&self, attempt: u64) {
        let is_in_use = {
            let standing = self.standing.borrow();
            standing.connection.is_some() && standing.attempt == attempt
        };
        if is_in_use && !self.is_silent.swap(true, Ordering::SeqCst) {
            self.doubt.notify_one();
        }
    }

    /// Whether a call was given up since the last time that this was asked.
    fn was_silent(&self) -> bool {
        self.is_silent.swap(false, Ordering::SeqCst)
    }

    /// The connection is of no use any more.
    fn lost(&self) {
        self.standing.send_modify(|standing| {
            standing.generation += 1;
            standing.connection = None;
        });
    }

    /// The breaker has opened: the connection is dropped, those who follow go alone, and the supervisor takes over.
    pub(super) fn opened(&self) {
        self.standing.send_modify(|standing| (standing.connection, standing.is_open) = (None, true));
        self.doubt.notify_one();
    }
}
