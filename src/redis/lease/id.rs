//! Who asks for leases, and what leases are called.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

/// One flight of one coalescer in one process. No two are alike, and none comes again: the node's number is drawn
/// whenever a [`Cluster`](crate::redis::Cluster) is built, from a random state, the process and the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Asker {
    pub(crate) node: u64,
    pub(crate) coalescer: u64,
    pub(crate) number: u64,
}

/// A lease: the token that the server drew, and the flight that asked for it. The asker tells apart leases that got the same
/// token, which takes a clock that was set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LeaseId {
    pub(crate) token: u64,
    pub(crate) holder: Asker,
}

/// What a node's flights are called, and what it knows of tokens. Relaxed: the server orders what matters.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) node: u64,
    flights: AtomicU64,
    /// The greatest token that this node has seen.
    seen: AtomicU64,
}

impl Identity {
    pub(crate) fn new(node: u64) -> Self {
        Self { node, flights: AtomicU64::new(0), seen: AtomicU64::new(0) }
    }

    /// A flight of that coalescer.
    pub(crate) fn asker(&self, coalescer: u64) -> Asker {
        Asker { node: self.node, coalescer, number: self.flights.fetch_add(1, Ordering::Relaxed) }
    }

    pub(crate) fn saw(&self, lease: LeaseId) {
        self.seen.fetch_max(lease.token, Ordering::Relaxed);
    }

    /// The least token for what it asks for next: greater than all that it has seen, though the server's clock be set back.
    pub(crate) fn least_token(&self) -> u64 {
        self.seen.load(Ordering::Relaxed) + 1
    }
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}.{:x}.{:x}", self.node, self.coalescer, self.number)
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.token, self.holder)
    }
}

impl LeaseId {
    /// From its `Display`. `None` for anything else: what is in Redis may come from elsewhere.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (token, holder) = text.split_once(':')?;
        let mut parts = holder.splitn(3, '.').map(|part| u64::from_str_radix(part, 16).ok());
        let holder = Asker { node: parts.next()??, coalescer: parts.next()??, number: parts.next()?? };
        Some(Self { token: token.parse().ok()?, holder })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let holder = Asker { node: u64::MAX - 1, coalescer: 3, number: 255 };
        let lease = LeaseId { token: 1_764_460_800_000_000, holder };
        assert_eq!(lease.to_string(), "1764460800000000:fffffffffffffffe.3.ff");
        assert_eq!(LeaseId::parse(&lease.to_string()), Some(lease));
    }

    #[test]
    fn refuses_what_is_none() {
        for text in ["", "7", "7:1", "7:1.2", "x:1.2.3", "7:1.2.g", "7:1.2.3.4", "-1:1.2.3"] {
            assert_eq!(LeaseId::parse(text), None, "{text}");
        }
    }
}
