//! What travels between nodes and the server.

use super::super::lease::{Asker, LeaseId, Message, Reply, Time};

#[derive(Clone, Debug)]
pub(super) enum Request {
    Ask {
        me: Asker,
        followed: Option<LeaseId>,
        least: u64,
    },
    Publish {
        lease: LeaseId,
        message: Message,
        is_inline: bool,
    },
    /// With when it was due.
    Renew {
        lease: LeaseId,
        due: Time,
    },
    Detach {
        lease: LeaseId,
    },
}

#[derive(Clone, Debug)]
pub(super) enum Answer {
    Asked(Reply),
    Published(bool),
    Flag,
}

/// What happens next, and when it has come to it.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Incident(usize),
    /// At the server. Commands are numbered, so that an answer finds who waits for it.
    Arrives {
        node: usize,
        connection: u64,
        command: u64,
        request: Request,
    },
    /// At the node.
    Answered {
        node: usize,
        connection: u64,
        command: u64,
        answer: Answer,
    },
    Pushed {
        node: usize,
        connection: u64,
        to: Asker,
        lease: LeaseId,
        message: Message,
    },
    Reconnected {
        node: usize,
        connection: u64,
    },
    TimedOut {
        node: usize,
        command: u64,
    },
    Due {
        node: usize,
        flight: usize,
    },
    WorkEnds {
        node: usize,
        flight: usize,
    },
    Beat {
        node: usize,
    },
}

impl Step {
    /// The node that has to be running for it.
    pub(super) fn node(&self) -> Option<usize> {
        match self {
            Self::Incident(_) | Self::Arrives { .. } => None,
            Self::Answered { node, .. }
            | Self::Pushed { node, .. }
            | Self::Reconnected { node, .. }
            | Self::TimedOut { node, .. }
            | Self::Due { node, .. }
            | Self::WorkEnds { node, .. }
            | Self::Beat { node } => Some(*node),
        }
    }
}
