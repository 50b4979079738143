//! Tables of numbers: what coalescers count beside joins, and what tiers above them count.

use super::source::Reading;
#[cfg(feature = "cache")]
use crate::cache::{CacheSource, CacheStats, RejectReason, StaleReason};
#[cfg(feature = "redis")]
use crate::redis::{ClusterStats, FailOpen};
use crate::stats::Stats;

pub(super) struct Panel {
    pub(super) title: &'static str,
    /// It has a tab of its own.
    pub(super) is_tab: bool,
    pub(super) rows: Vec<Row>,
}

pub(super) struct Row {
    pub(super) label: String,
    pub(super) cell: Cell,
}

pub(super) enum Cell {
    /// It only grows, so it has a rate.
    Counter(u64),
    Gauge(u64),
    /// From 0.0 to 1.0.
    #[cfg(feature = "cache")]
    Share(f64),
    #[cfg(feature = "redis")]
    YesNo(bool),
}

pub(super) fn row(label: impl Into<String>, cell: Cell) -> Row {
    Row { label: label.into(), cell }
}

fn counter(label: &str, count: u64) -> Row {
    row(label, Cell::Counter(count))
}

/// A tier above a coalescer. `None` once it is gone.
pub(super) trait PanelSource: Send + Sync {
    fn read(&self) -> Option<Panel>;
}

/// Those of the coalescer itself.
pub(super) fn of_coalescer(reading: &Reading) -> Vec<Panel> {
    let totals = &reading.totals;
    let mut panels = vec![not_coalesced(reading), outcomes(totals)];
    panels.extend(reading.max_executions.map(|limit| queue(totals, limit)));
    panels
}

fn queue(totals: &Stats, limit: usize) -> Panel {
    let gauge = |label: &str, value: usize| row(label, Cell::Gauge(value as u64));
    let rows = vec![
        gauge("Executions at the same time, at most", limit),
        gauge("Executions under way", totals.executing),
        gauge("Flights in the queue", totals.queue_len),
        counter("Flights that were queued", totals.queued),
        counter("Flights that were shed", totals.shed),
        counter("Flights that a caller raised to a higher class", totals.raised),
    ];
    Panel { title: "Queue", is_tab: true, rows }
}

fn not_coalesced(reading: &Reading) -> Panel {
    let totals = &reading.totals;
    let refusals = reading.profile.iter().flat_map(|profile| &profile.refusals);
    let mut rows = vec![counter("Refused", totals.rejections)];
    rows.extend(refusals.map(|(kind, count)| counter(&format!("Refused: {}", plain(kind.as_str())), *count)));
    rows.extend(reading.max_executions.map(|_| counter("Refused: shed by the queue", totals.shed)));
    rows.push(counter("Bypassed", totals.bypasses));
    Panel { title: "Refused and bypassed", is_tab: false, rows }
}

fn outcomes(totals: &Stats) -> Panel {
    let rows = vec![
        counter("Work returned an error", totals.errors),
        counter("Work panicked", totals.panics),
        counter("Flights over their time limit", totals.timeouts),
        counter("Work dropped before its end", totals.aborts),
        counter("Callers that left early", totals.departures),
        counter("Flights forgotten", totals.forgets),
        row("Executions that outlive their flight", Cell::Gauge(totals.lingering as u64)),
    ];
    Panel { title: "Outcomes", is_tab: false, rows }
}

/// `too_many_waiters` as words.
pub(super) fn plain(name: &str) -> String {
    name.replace('_', " ")
}

#[cfg(feature = "cache")]
pub(super) struct CachePanel(pub(super) std::sync::Weak<dyn CacheSource>);

#[cfg(feature = "cache")]
impl PanelSource for CachePanel {
    fn read(&self) -> Option<Panel> {
        let stats: CacheStats = self.0.upgrade()?.stats();
        let mut rows = vec![
            row("Hit rate since start", Cell::Share(stats.hit_rate())),
            counter("Hits", stats.hits),
            counter("Stale hits", stats.stale_hits),
            counter("Hits of kept errors", stats.negative_hits),
            counter("Misses", stats.misses),
            counter("Loads", stats.loads),
            counter("Loads that failed", stats.load_errors),
            counter("Background refreshes", stats.refreshes),
            counter("Expired values served, as a load failed, was slow or was put off", stats.fail_safe),
            counter("Evictions", stats.evictions),
            row("Entries", Cell::Gauge(stats.entries as u64)),
            row("Weight", Cell::Gauge(stats.weight)),
        ];
        let stale =
            |&reason: &StaleReason| counter(&format!("Stale: {}", plain(reason.as_str())), stats.stale_by(reason));
        rows.extend(StaleReason::ALL.iter().map(stale));
        let kept = |&reason: &RejectReason| {
            counter(&format!("Loaded and not kept: {}", plain(reason.as_str())), stats.rejected_by(reason))
        };
        rows.extend(RejectReason::ALL.iter().map(kept));
        Some(Panel { title: "Cache", is_tab: true, rows })
    }
}

#[cfg(feature = "redis")]
pub(super) struct ClusterPanel(pub(super) Box<dyn Fn() -> Option<ClusterStats> + Send + Sync>);

#[cfg(feature = "redis")]
impl PanelSource for ClusterPanel {
    fn read(&self) -> Option<Panel> {
        let stats = (self.0)()?;
        let mut rows = vec![
            row("Connected to Redis", Cell::YesNo(stats.is_connected)),
            row("Breaker open", Cell::YesNo(stats.is_open)),
            counter("Flights led", stats.led),
            counter("Flights that followed another process", stats.followed),
            counter("Takeovers", stats.takeovers),
            counter("Leases lost while work ran", stats.fenced_out),
            counter("Refused without a lease", stats.refusals),
            row("Leases held", Cell::Gauge(stats.leases as u64)),
            row("Flights that ask or follow", Cell::Gauge(stats.waiting as u64)),
            counter("Round trips", stats.round_trips),
            counter("Values too large to hand over", stats.too_large),
            counter("Values that could not be encoded", stats.encode_errors),
            counter("Publications that may have failed", stats.publish_failures),
            counter("Breaker openings", stats.openings),
        ];
        let alone = |&reason: &FailOpen| {
            let why = if reason == FailOpen::Open { "breaker open".to_owned() } else { plain(reason.as_str()) };
            counter(&format!("Ran without a lease: {why}"), stats.fail_opens_by(reason))
        };
        rows.extend(FailOpen::ALL.iter().map(alone));
        Some(Panel { title: "Cluster", is_tab: true, rows })
    }
}

/// Requests of an HTTP layer that were answered by a call of their own.
#[cfg(feature = "tower")]
impl PanelSource for crate::tower::Passes {
    fn read(&self) -> Option<Panel> {
        let counted = self.iter().filter(|(_, count)| *count > 0);
        let rows = counted.map(|(reason, count)| counter(&plain(reason.as_str()), count)).collect();
        Some(Panel { title: "Requests passed through, by reason", is_tab: false, rows })
    }
}
