//! From a key to its shard, and what all handles of a coalescer share.

use std::{
    hash::{BuildHasher, Hash},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use crate::{
    control::Control,
    error::{CaughtPanic, Closed, JoinError},
    host::{AtomicBool, Port, Runtime, now, oneshot},
    live::{Key, Lanes, LiveLane, Value},
    panics::{catch, drop_contained},
    rollout::Rollout,
    running,
    scope::Domains,
    ticket::Circumstances,
    watch::{Ending, Watch},
};

pub(crate) struct Router<K: Key, V: Value, S> {
    pub(crate) lanes: Lanes<K, V>,
    pub(crate) ports: Box<[Port<K, V>]>,
    /// `None` where the process is the one domain there is.
    pub(crate) domains: Option<Domains>,
    pub(crate) shards_per_domain: usize,
    pub(crate) hasher: S,
    pub(crate) rollout: Rollout,
    /// By shard, as a bypassed key would have had one.
    pub(crate) bypasses: Arc<[Bypasses]>,
    /// A shutdown has begun. Its message comes to a shard after the joins that are in the lane by then, so it is here that
    /// those are stopped that begin after the shutdown did.
    pub(crate) closing: AtomicBool,
    /// The runtime that timers are made on.
    pub(crate) timers: Runtime,
    pub(crate) watch: Option<Arc<dyn Watch>>,
}

/// Bypassed joins, counted where no shard sees them; each shard's on a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Bypasses {
    total: AtomicU64,
    /// How many there were at the last reset.
    before: AtomicU64,
}

impl Bypasses {
    /// Since the last reset.
    pub(crate) fn count(&self) -> u64 {
        self.total().saturating_sub(self.before.load(Ordering::Relaxed))
    }

    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    pub(crate) fn reset(&self) {
        self.before.store(self.total(), Ordering::Relaxed);
    }
}

/// Whose shards a caller's keys go to.
#[derive(Clone, Copy)]
pub(crate) struct Domain(usize);

/// Where a key belongs, for one caller.
#[derive(Clone, Copy)]
pub(crate) struct Seat {
    pub(crate) hash: u64,
    shard: usize,
}

impl<K: Key, V: Value, S> Router<K, V, S> {
    /// The hash of a key that is to be joined. Where it is too late for that, or the user's `Hash` panics, key and work go
    /// no further.
    pub(crate) fn admit<F>(&self, key: K, work: F) -> Result<(u64, K, F), JoinError>
    where
        K: Hash,
        S: BuildHasher,
    {
        let closing = self.closing.load(Ordering::Relaxed);
        let hash = if closing { Err(JoinError::Closed) } else { self.hash(&key).map_err(JoinError::Panicked) };
        match hash {
            Ok(hash) => Ok((hash, key, work)),
            Err(error) => {
                drop_contained(key);
                drop_contained(work);
                Err(error)
            }
        }
    }

    pub(crate) fn hash(&self, key: &K) -> Result<u64, CaughtPanic>
    where
        K: Hash,
        S: BuildHasher,
    {
        catch(|| self.hasher.hash_one(key))
    }

    /// From now on no join begins.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// Where this thread is. Asks the user's topology, so ask before anything of the user's is in hand.
    pub(crate) fn domain(&self) -> Domain {
        Domain(self.domains.as_ref().map_or(0, Domains::current))
    }

    /// The shard of a hash, from its bits 25 to 56 by multiply and shift. The map's buckets are chosen by the low bits
    /// and its tags by the top seven; bits that chose the shard would be the same for all keys in its map.
    pub(crate) fn seat(&self, hash: u64, domain: Domain) -> Seat {
        let Domain(domain) = domain;
        Seat { hash, shard: domain * self.shards_per_domain + self.within_domain(hash) }
    }

    fn within_domain(&self, hash: u64) -> usize {
        let spread = (hash >> 25) & u64::from(u32::MAX);
        ((spread * self.shards_per_domain as u64) >> 32) as usize
    }

    /// The hash's shard in every domain.
    pub(crate) fn ports(&self, hash: u64) -> impl Iterator<Item = &Port<K, V>> {
        self.ports.iter().skip(self.within_domain(hash)).step_by(self.shards_per_domain)
    }

    pub(crate) fn lane(&self, seat: Seat) -> &LiveLane<K, V> {
        &self.lanes[seat.shard]
    }

    pub(crate) fn coalesces(&self, hash: u64) -> bool {
        self.rollout.includes(hash)
    }

    pub(crate) fn count_bypass(&self, seat: Seat) {
        self.bypasses[seat.shard].total.fetch_add(1, Ordering::Relaxed);
    }

    /// Now, if somebody wants to know how long a caller that begins now is going to wait.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.watch.as_ref().map(|_| now())
    }

    /// A caller's wait is over.
    #[inline]
    pub(crate) fn waited(&self, since: Option<Instant>, ending: Ending) {
        if let Some(since) = since {
            self.tell_wait(since, ending);
        }
    }

    #[inline(never)]
    fn tell_wait(&self, since: Instant, ending: Ending) {
        if let Some(watch) = &self.watch {
            watch.waited(now().saturating_duration_since(since), ending);
        }
    }

    /// The flight whose work is making a join right now, if it is one of this coalescer's (G12), and under which span.
    pub(crate) fn circumstances(&self) -> Option<Box<Circumstances>> {
        let running = running::current().filter(|running| running.coalescer == self.lanes.identity());
        Circumstances::here(running.map(|running| running.flight))
    }

    /// Asks all shards the same, at once.
    pub(crate) async fn ask_all<T>(
        &self,
        question: impl Fn(oneshot::Sender<T>) -> Control<K>,
    ) -> Result<Vec<T>, Closed> {
        // All of them are asked before the first is heard.
        let asked = self.ports.iter().map(|port| port.ask(&question)).collect::<Result<Vec<_>, _>>()?;
        let mut answers = Vec::with_capacity(asked.len());
        for answer in asked {
            answers.push(answer.await?);
        }
        Ok(answers)
    }
}
