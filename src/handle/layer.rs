//! What a layer tells its coalescer, for the counts.

use super::Handle;
use crate::task::current::Current;

impl<K, V, S> Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    /// A request of the layer isn't coalesced. Reasons are numbered as the layer's value type says.
    pub(crate) fn count_pass(&self, reason: usize) {
        if let Some(observer) = &self.router.engine.observer {
            observer.passed(reason);
        }
    }

    /// A follower of this flight can't share its answer, and calls for itself: it counts as a bypass from now on, no longer
    /// as coalesced.
    pub(crate) fn count_recall(&self, flight: Option<Current>) {
        let engine = &self.router.engine;
        if let Some(Current { flight, .. }) = flight.filter(|flight| flight.coalescer == engine.identity()) {
            engine.tallies[flight.id.shard()].recall(flight.id);
        }
    }
}
