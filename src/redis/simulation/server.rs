//! What the scripts do, in Rust.

use std::{collections::BTreeMap, time::Duration};

use super::super::lease::{Asker, LeaseId, Message, Reply, Time};

/// A bug in the protocol, for the judge to find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Planted {
    #[default]
    Nothing,
    /// All flights of a node ask under one name.
    TokenOfNode,
    /// Results are stored for whoever asks.
    ResultForAll,
    /// A lease is renewed though its flight is over.
    EndlessHeartbeat,
    /// Whoever publishes ends the lease, whosever it is.
    BlindRelease,
}

#[derive(Clone, Debug)]
struct Entry {
    lease: LeaseId,
    waiters: Vec<Asker>,
    /// By the server's clock, as Redis has it.
    expires: Time,
}

impl Entry {
    fn follow(&mut self, me: Asker, wall: Time) -> Reply {
        if !self.waiters.contains(&me) {
            self.waiters.push(me);
        }
        Reply::Follows(self.lease, Some(self.expires.saturating_sub(wall)))
    }
}

/// One key's worth of Redis.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    lease: Option<Entry>,
    detached: BTreeMap<LeaseId, Entry>,
    results: BTreeMap<LeaseId, (Message, Time)>,
    planted: Planted,
}

/// What a flight is told of a lease's end.
pub(crate) type Push = (Asker, LeaseId, Message);

impl Server {
    pub(crate) fn new(planted: Planted) -> Self {
        Self { planted, ..Self::default() }
    }

    fn expire(&mut self, wall: Time) {
        self.lease.take_if(|entry| entry.expires <= wall);
        self.detached.retain(|_, entry| entry.expires > wall);
        self.results.retain(|_, (_, expires)| *expires > wall);
    }

    pub(crate) fn ask(
        &mut self,
        me: Asker,
        followed: Option<LeaseId>,
        time: Duration,
        least: u64,
        wall: Time,
    ) -> Reply {
        self.expire(wall);
        if let Some(followed) = followed
            && let Some((message, _)) = self.results.get(&followed)
        {
            return Reply::Ended(followed, message.clone());
        }
        if let Some(entry) = followed.and_then(|followed| self.detached.get_mut(&followed)) {
            return entry.follow(me, wall);
        }
        if self.planted == Planted::ResultForAll
            && let Some((lease, (message, _))) = self.results.iter().next_back()
        {
            return Reply::Ended(*lease, message.clone());
        }
        if let Some(entry) = &mut self.lease {
            return entry.follow(me, wall);
        }
        let token = u64::try_from(wall.as_micros()).unwrap_or(u64::MAX).max(least);
        let granted = LeaseId { token, holder: me };
        self.lease = Some(Entry { lease: granted, waiters: Vec::new(), expires: wall + time });
        Reply::Leads(granted)
    }

    /// Whether the lease was there, and whom to tell what.
    pub(crate) fn publish(
        &mut self,
        lease: LeaseId,
        message: &Message,
        is_inline: bool,
        time: Duration,
        wall: Time,
    ) -> (bool, Vec<Push>) {
        self.expire(wall);
        let blind = self.planted == Planted::BlindRelease;
        let entry = match self.lease.take_if(|entry| blind || entry.lease == lease) {
            Some(entry) => entry,
            None => match self.detached.remove(&lease) {
                Some(entry) => entry,
                None => return (false, Vec::new()),
            },
        };
        let push = match message {
            Message::Outcome(_) if !is_inline => Message::Stored,
            other => other.clone(),
        };
        if !entry.waiters.is_empty() && *message != Message::Released {
            self.results.insert(lease, (message.clone(), wall + time));
        }
        (true, entry.waiters.into_iter().map(|waiter| (waiter, lease, push.clone())).collect())
    }

    pub(crate) fn renew(&mut self, lease: LeaseId, time: Duration, wall: Time) -> bool {
        self.expire(wall);
        let entry = match &mut self.lease {
            Some(entry) if entry.lease == lease => Some(entry),
            _ => self.detached.get_mut(&lease),
        };
        entry.is_some_and(|entry| {
            entry.expires = wall + time;
            true
        })
    }

    pub(crate) fn detach(&mut self, lease: LeaseId, wall: Time) -> bool {
        self.expire(wall);
        let taken = self.lease.take_if(|entry| entry.lease == lease);
        taken.is_some_and(|entry| {
            self.detached.insert(lease, entry);
            true
        })
    }

    pub(crate) fn flush(&mut self) {
        *self = Self::new(self.planted);
    }

    pub(crate) fn keys(&mut self, wall: Time) -> usize {
        self.expire(wall);
        usize::from(self.lease.is_some()) + self.detached.len() + self.results.len()
    }
}
