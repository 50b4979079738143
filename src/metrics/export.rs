//! Which recorder a coalescer's metrics go to, and under which label.

use std::{
    any::TypeId,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    catalogue,
    instruments::Instruments,
    names::{Label, RecorderId},
};
#[cfg(feature = "cache")]
use crate::cache::{CacheStats, LoadEnd};
use crate::{
    error::JoinError,
    flight_limit::FlightLimit,
    observer::{Environment, WaitEnd},
    stats::Stats,
    sync::now,
    trace,
};

/// The instruments of one coalescer.
pub(super) struct Export {
    name: String,
    layout: Layout,
    /// In the order of the reasons. Counted here, so that a late recorder gets them all.
    passes: Box<[AtomicU64]>,
    /// Of the recorder that was current at the build. Without one they do nothing.
    at_build: Registered,
    /// Of the recorder that was installed after the build, if there was none before.
    late: OnceLock<Registered>,
    /// A shard's report has found a late recorder, and registers with it.
    is_registering: AtomicBool,
    /// The shards that aren't closed, and the cache.
    open: AtomicUsize,
}

/// What a coalescer exports that others don't.
pub(super) struct Layout {
    pub(super) shards: usize,
    /// Why an HTTP layer passes requests through, by number.
    pub(super) reasons: Vec<&'static str>,
    /// Where the limit of flights is learned.
    pub(super) flight_limit: Option<Arc<dyn FlightLimit>>,
    #[cfg(feature = "cache")]
    pub(super) has_cache: bool,
}

impl Layout {
    pub(super) fn of(environment: &Environment) -> Self {
        let flight_limit = environment.flight_limit.clone();
        Self { flight_limit, ..Self::fixed(environment.shards, environment.value) }
    }

    /// Where the limit of flights is fixed.
    pub(super) fn fixed(shards: usize, value: TypeId) -> Self {
        Self {
            shards,
            reasons: catalogue::pass_reasons(value),
            flight_limit: None,
            #[cfg(feature = "cache")]
            has_cache: false,
        }
    }

    fn sources(&self) -> usize {
        #[cfg(feature = "cache")]
        return self.shards + usize::from(self.has_cache);
        #[cfg(not(feature = "cache"))]
        self.shards
    }
}

struct Registered {
    /// `None` without a recorder: nothing is exported under it.
    label: Option<Label>,
    instruments: Instruments,
}

impl Registered {
    /// Registers with the recorder that is current on this thread.
    fn new(name: &str, layout: &Layout) -> Self {
        let label = Label::claim(RecorderId::current(), name);
        let instruments = Instruments::register(label.text(), layout);
        let label = instruments.are_live().then_some(label);
        if let Some(label) = label.as_ref().filter(|label| label.text() != name) {
            trace::metrics_name_taken(name, label.text());
        }
        Self { label, instruments }
    }
}

impl Export {
    pub(super) fn new(name: &str, layout: Layout) -> Self {
        Self {
            name: name.to_owned(),
            passes: layout.reasons.iter().map(|_| AtomicU64::new(0)).collect(),
            at_build: Registered::new(name, &layout),
            late: OnceLock::new(),
            is_registering: AtomicBool::new(false),
            open: AtomicUsize::new(layout.sources()),
            layout,
        }
    }

    fn current(&self) -> &Registered {
        self.late.get().unwrap_or(&self.at_build)
    }

    /// Registers all metrics with a recorder that was installed after the build. Instruments of the facade never change their
    /// recorder, so those of the build would do nothing for ever.
    fn look_for_a_late_recorder(&self) {
        if self.at_build.label.is_some() || self.late.get().is_some() || !catalogue::has_recorder(&self.name) {
            return;
        }
        // Not by the lock's initialization: others would wait for it, and recorders and subscribers are user code.
        if self.is_registering.swap(true, Ordering::Relaxed) {
            return;
        }
        let registered = Registered::new(&self.name, &self.layout);
        if self.late.set(registered).is_ok() {
            trace::late_recorder(&self.name);
        }
    }

    /// Reports a shard's counters and gauges.
    pub(super) fn report(&self, shard: usize, totals: &Stats) {
        self.report_as(shard, totals, false);
        // Once per report of the coalescer.
        if shard == 0
            && let Registered { label: Some(label), instruments } = self.current()
            && label.recorder() == RecorderId::current()
        {
            instruments.renew(label.text());
        }
    }

    /// Reports them for the last time: later reports of this shard are ignored.
    pub(super) fn report_last(&self, shard: usize, totals: &Stats) {
        self.report_as(shard, totals, true);
        self.close();
    }

    /// A shard is closed, or the cache is gone. With the last of them, the name is free.
    fn close(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(label) = &self.current().label
        {
            label.release();
        }
    }

    fn report_as(&self, shard: usize, totals: &Stats, is_final: bool) {
        self.look_for_a_late_recorder();
        let Registered { instruments, .. } = self.current();
        let mut totals = totals.clone();
        if !self.layout.reasons.is_empty() {
            // Behind a layer, those that still wait may have to call for themselves, and what is exported never falls.
            totals.coalesced = totals.coalesced.saturating_sub(totals.waiters as u64);
        }
        instruments.report(shard, &totals, is_final);
        // Once per report of the coalescer.
        if shard == 0
            && let Some(limit) = &self.layout.flight_limit
        {
            instruments.report_limit(if is_final { Duration::ZERO } else { limit.current(now()) }, is_final);
        }
        for (reason, passes) in self.passes.iter().enumerate() {
            instruments.report_passes(reason, passes.load(Ordering::Relaxed));
        }
    }

    pub(super) fn completed(&self, latency: Duration, outcome: Option<&JoinError>, waiters: usize) {
        self.current().instruments.completed(latency, outcome, waiters);
    }

    pub(super) fn waited(&self, wait: Duration, end: WaitEnd) {
        self.current().instruments.waited(wait, end);
    }

    pub(super) fn passed(&self, reason: usize) {
        if let Some(passes) = self.passes.get(reason) {
            let total = passes.fetch_add(1, Ordering::Relaxed) + 1;
            // At once: requests pass through after the shards are closed, too.
            self.current().instruments.report_passes(reason, total);
        }
    }

    /// The last handle is gone.
    pub(super) fn abandoned(&self) {
        if let Some(label) = &self.current().label {
            label.abandon();
        }
    }
}

#[cfg(feature = "cache")]
impl Export {
    /// Reports the cache's counters and gauges.
    pub(super) fn report_cache(&self, totals: &CacheStats, is_final: bool) {
        self.look_for_a_late_recorder();
        if let Some(cache) = &self.current().instruments.cache {
            cache.report(totals, is_final);
        }
        if is_final {
            self.close();
        }
    }

    pub(super) fn loaded(&self, took: Duration, end: LoadEnd) {
        if let Some(cache) = &self.current().instruments.cache {
            cache.loaded(took, end);
        }
    }
}
