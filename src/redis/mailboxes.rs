//! Where the ends of leases arrive for the flights that follow them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc;

use super::lease::{LeaseId, Message};

/// A flight follows one lease at a time, so more than one push for it is rare. What has no room is asked for.
const ROOM: usize = 4;

/// One mailbox per flight that asks or follows, from before its first ask, as a push may come right behind the answer. Flights that
/// are gone get nothing. The lock is held for a look-up, with no code of the user's under it.
#[derive(Debug, Default)]
pub(super) struct Mailboxes(Mutex<HashMap<u64, mpsc::Sender<(LeaseId, Message)>>>);

impl Mailboxes {
    pub(super) fn push(&self, number: u64, lease: LeaseId, message: Message) {
        let flight = self.lock().get(&number).cloned();
        if let Some(flight) = flight {
            let _ = flight.try_send((lease, message));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, mpsc::Sender<(LeaseId, Message)>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, number: u64) -> mpsc::Receiver<(LeaseId, Message)> {
        let (sender, mailbox) = mpsc::channel(ROOM);
        self.lock().insert(number, sender);
        mailbox
    }

    fn close(&self, number: u64) {
        self.lock().remove(&number);
    }
}

/// A flight's mailbox, until it is dropped.
pub(super) struct Mailbox {
    of: Arc<Mailboxes>,
    number: u64,
    pub(super) messages: mpsc::Receiver<(LeaseId, Message)>,
}

impl Mailbox {
    pub(super) fn open(of: &Arc<Mailboxes>, number: u64) -> Self {
        let messages = of.open(number);
        Self { of: Arc::clone(of), number, messages }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.of.close(self.number);
    }
}
