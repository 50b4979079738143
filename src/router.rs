//! From a key to its shard, and what all handles of a coalescer share.

use std::{
    hash::{BuildHasher, Hash},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tracing::Span;

use crate::{
    config::{Describe, RunWork},
    engine::{Asked, Engine, Key, State, Value},
    error::{CaughtPanic, Closed, ClosedReason, JoinError},
    observer::WaitEnd,
    rollout::Rollout,
    scope::Domains,
    sync::{Actors, AtomicBool, now},
    task::current::{self, Current},
    trace,
    unwind::{Contained, catch, drop_contained},
};

pub(crate) struct Router<K: Key, V: Value, S> {
    pub(crate) engine: Arc<Engine<K, V>>,
    /// The shards' actors live for as long as this.
    #[expect(dead_code, reason = "owned, and never asked for anything")]
    pub(crate) actors: Actors<K, V>,
    /// `None` where the process is the one domain there is.
    pub(crate) domains: Option<Domains>,
    pub(crate) shards_per_domain: usize,
    pub(crate) hasher: S,
    pub(crate) describe: Option<Describe<K>>,
    pub(crate) run_work: RunWork,
    /// Of flights whose limit is neither their handle's nor learned.
    pub(crate) max_flight_duration: Option<Duration>,
    pub(crate) rollout: Rollout,
    /// A shutdown has begun: joins that begin later are refused, even where their shard does not know of it yet.
    pub(crate) closing: AtomicBool,
}

/// Whose shards a caller's keys go to.
#[derive(Clone, Copy)]
pub(crate) struct Domain(usize);

/// Where a join is made from. To find it out runs a user's topology and subscriber.
pub(crate) struct CallContext {
    domain: Domain,
    /// The flight whose work polls the join, of whichever coalescer.
    pub(crate) current: Option<Current>,
    /// The caller's span, if anyone listens.
    pub(crate) span: Option<Contained<Span>>,
}

/// Where a key belongs, for one caller.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) hash: u64,
    pub(crate) shard: usize,
}

impl<K: Key, V: Value, S> Drop for Router<K, V, S> {
    /// Its last handle is dropped.
    fn drop(&mut self) {
        if let Some(observer) = &self.engine.observer {
            observer.abandoned();
        }
    }
}

impl<K: Key, V: Value, S> Router<K, V, S> {
    pub(crate) fn call_context(&self) -> CallContext {
        let domain = Domain(self.domains.as_ref().map_or(0, Domains::current));
        CallContext { domain, current: current::get(), span: trace::caller() }
    }

    /// Where a key that is to be joined belongs. If it is too late for that, or the user's `Hash` panics, key and work are
    /// dropped.
    pub(crate) fn admit<F>(&self, key: K, work: F, context: &CallContext) -> Result<(Place, K, F), JoinError>
    where
        K: Hash,
        S: BuildHasher,
    {
        // Relaxed: a join beside the beginning of a shutdown may go either way, and the shard decides.
        let closing = self.closing.load(Ordering::Relaxed);
        let hash = if closing { Err(JoinError::Closed) } else { self.hash(&key).map_err(JoinError::Panicked) };
        match hash {
            Ok(hash) => Ok((self.place(hash, context.domain), key, work)),
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

    /// From now on no join begins. Without effect if the runtime has ended before.
    pub(crate) fn close(&self) {
        if self.closed_reason().is_none() {
            self.closing.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn closed_reason(&self) -> Option<ClosedReason> {
        if self.closing.load(Ordering::Relaxed) {
            Some(ClosedReason::ShutDown)
        } else if self.engine.has_lost_an_actor() {
            // Without a shutdown, only its runtime ends an actor while there is a handle.
            Some(ClosedReason::RuntimeEnded)
        } else {
            None
        }
    }

    /// Whether the runtime has ended, by one look: `false` for a moment more than [`closed_reason`](Self::closed_reason) says.
    #[cfg(all(feature = "macros", feature = "cache"))]
    pub(crate) fn has_runtime_ended(&self) -> bool {
        self.engine.has_lost_the_first_actor()
    }

    /// Not where executions have a limit: a leader that isn't polled would keep a permit, which other keys wait for (G2).
    pub(crate) fn runs_in_place(&self) -> bool {
        self.run_work == RunWork::InPlace && self.engine.admission.is_none()
    }

    /// What `inspect` is to say of a key. Runs the user's own code, in the caller.
    pub(crate) fn describe(&self, key: &K) -> Option<Box<str>> {
        let describe = self.describe.as_ref()?;
        catch(|| describe(key)).ok().map(String::into_boxed_str)
    }

    /// The shard of a hash, from its bits 25 to 56 by multiply and shift. The map's buckets are chosen by the low bits
    /// and its tags by the top seven; bits that chose the shard would be the same for all keys in its map.
    fn place(&self, hash: u64, domain: Domain) -> Place {
        let Domain(domain) = domain;
        Place { hash, shard: domain * self.shards_per_domain + self.within_domain(hash) }
    }

    fn within_domain(&self, hash: u64) -> usize {
        let spread = (hash >> 25) & u64::from(u32::MAX);
        ((spread * self.shards_per_domain as u64) >> 32) as usize
    }

    /// The hash's shard in every domain.
    pub(crate) fn shards_of(&self, hash: u64) -> impl Iterator<Item = usize> + use<K, V, S> {
        (self.within_domain(hash)..self.engine.shards()).step_by(self.shards_per_domain)
    }

    pub(crate) fn coalesces(&self, hash: u64) -> bool {
        self.rollout.includes(hash)
    }

    /// Whether the key is outside the rollout; if so, a bypass is counted. For adapters whose work does more than the call that it
    /// stands for.
    #[cfg(feature = "tower")]
    pub(crate) fn bypasses(&self, key: &K) -> bool
    where
        K: Hash,
        S: BuildHasher,
    {
        if self.rollout.includes_all() {
            return false;
        }
        // A key whose `Hash` panics is refused when it is joined.
        let Ok(hash) = self.hash(key) else { return false };
        let bypasses = !self.coalesces(hash);
        if bypasses {
            self.count_bypass(self.place(hash, self.call_context().domain));
        }
        bypasses
    }

    pub(crate) fn count_bypass(&self, place: Place) {
        self.engine.tallies[place.shard].bypass();
    }

    /// Now, if an observer wants to know how long a caller that begins now is going to wait.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.engine.observer.as_ref().map(|_| now())
    }

    /// A caller's wait is over.
    #[inline]
    pub(crate) fn waited(&self, since: Option<Instant>, end: WaitEnd) {
        if let Some(since) = since {
            self.tell_wait(since, end);
        }
    }

    #[inline(never)]
    fn tell_wait(&self, since: Instant, end: WaitEnd) {
        if let Some(observer) = &self.engine.observer {
            observer.waited(now().saturating_duration_since(since), end);
        }
    }

    /// Asks all shards the same.
    pub(crate) async fn ask_all<T: Send + 'static>(
        &self,
        question: impl Fn(&mut State<K, V>) -> T + Clone + Send + 'static,
    ) -> Result<Vec<T>, Closed> {
        let ask = |shard| {
            let question = question.clone();
            self.engine.ask(shard, (), move |state, ()| question(state))
        };
        // All of them are asked before the first is awaited.
        let asked: Vec<Asked<(), T>> = (0..self.engine.shards()).map(ask).collect();
        let mut answers = Vec::with_capacity(asked.len());
        for asked in asked {
            answers.push(asked.answer().await?.1);
        }
        Ok(answers)
    }
}
