//! What a cluster exports.

use std::time::Duration;

use metrics::{Label, Unit};

use super::{
    Metrics,
    catalogue::{CounterSpec, GaugeSpec, counter, describe_totals, gauge},
    totals::TotalInstruments,
};
use crate::{
    redis::{ClusterBuilder, ClusterObserver, ClusterReporter, ClusterStats, FailOpen},
    unwind::contain,
};

/// The label with the cluster's name, on all of these.
const CLUSTER: &str = "cluster";

static COUNTERS: [CounterSpec<ClusterStats>; 18] = [
    counter("shardflight_cluster_led_total", "Flights whose work ran under a lease.", |stats| stats.led),
    counter("shardflight_cluster_followed_total", "Flights that got another flight's outcome.", |stats| stats.followed),
    counter(
        "shardflight_cluster_takeovers_total",
        "Flights that lead after another which ended without a word.",
        |stats| stats.takeovers,
    ),
    counter(
        "shardflight_cluster_fenced_out_total",
        "Flights whose lease was another's when their work ended.",
        |stats| stats.fenced_out,
    ),
    counter("shardflight_cluster_refusals_total", "Flights that were refused to run without a lease.", |stats| {
        stats.refusals
    }),
    counter("shardflight_cluster_too_large_total", "Values that were too large to be handed over.", |stats| {
        stats.too_large
    }),
    counter("shardflight_cluster_encode_errors_total", "Values that could not be encoded.", |stats| {
        stats.encode_errors
    }),
    counter("shardflight_cluster_publish_failures_total", "Outcomes that may not have reached Redis.", |stats| {
        stats.publish_failures
    }),
    counter("shardflight_cluster_round_trips_total", "Commands that were sent to Redis.", |stats| stats.round_trips),
    counter("shardflight_cluster_renewals_total", "Renewals of leases.", |stats| stats.renewals),
    counter("shardflight_cluster_openings_total", "How often the breaker opened.", |stats| stats.openings),
    fail_opens(FailOpen::Timeout, |stats| stats.fail_opens_by(FailOpen::Timeout)),
    fail_opens(FailOpen::Error, |stats| stats.fail_opens_by(FailOpen::Error)),
    fail_opens(FailOpen::Open, |stats| stats.fail_opens_by(FailOpen::Open)),
    fail_opens(FailOpen::WaitLimit, |stats| stats.fail_opens_by(FailOpen::WaitLimit)),
    fail_opens(FailOpen::Undecodable, |stats| stats.fail_opens_by(FailOpen::Undecodable)),
    fail_opens(FailOpen::Unshareable, |stats| stats.fail_opens_by(FailOpen::Unshareable)),
    fail_opens(FailOpen::LongKey, |stats| stats.fail_opens_by(FailOpen::LongKey)),
];

static GAUGES: [GaugeSpec<ClusterStats>; 4] = [
    gauge("shardflight_cluster_open", Unit::Count, "1 while the breaker is open, 0 while Redis is asked.", |stats| {
        f64::from(u8::from(stats.is_open))
    }),
    gauge("shardflight_cluster_connected", Unit::Count, "1 while there is a connection to Redis.", |stats| {
        f64::from(u8::from(stats.is_connected))
    }),
    gauge("shardflight_cluster_leases", Unit::Count, "Leases that are held.", |stats| stats.leases as f64),
    gauge("shardflight_cluster_waiting", Unit::Count, "Flights that ask or follow.", |stats| stats.waiting as f64),
];

const fn fail_opens(reason: FailOpen, value: fn(&ClusterStats) -> u64) -> CounterSpec<ClusterStats> {
    CounterSpec {
        name: "shardflight_cluster_fail_opens_total",
        reason: Some(reason.as_str()),
        description: "Flights whose work ran without a lease.",
        value,
    }
}

struct Instruments(TotalInstruments<ClusterStats>);

impl ClusterReporter for Instruments {
    fn report(&self, totals: &ClusterStats, is_final: bool) {
        self.0.report(totals, is_final);
    }
}

impl ClusterObserver for Metrics {
    fn check(&self) -> Result<(), &'static str> {
        match () {
            () if self.name.trim().is_empty() => Err("the name of its metrics is empty"),
            () if self.every.is_zero() => Err("its metrics would be reported all the time: the interval is 0"),
            () => Ok(()),
        }
    }

    fn built(&self) -> Box<dyn ClusterReporter> {
        contain(|| describe_totals(&COUNTERS, &GAUGES));
        let labels = [Label::new(CLUSTER, self.name.clone())];
        Box::new(Instruments(TotalInstruments::register(&COUNTERS, &GAUGES, &labels)))
    }

    fn every(&self) -> Duration {
        self.every
    }
}

impl<C> ClusterBuilder<C> {
    /// Exports what this process does in the cluster through the `metrics` facade, under this name as the label `cluster`;
    /// [`Metrics`] lists all of it. Install the recorder before [`build`](Self::build). Reports begin with the first flight, come from a
    /// thread of their own, and the last one is made when the cluster is dropped. Clusters of one process that share a name share their
    /// series: counters add up, and gauges are the last one's.
    ///
    /// The flights' own metrics are the coalescer's: [`Builder::metrics`](crate::Builder::metrics).
    ///
    /// # Default
    ///
    /// Nothing is exported.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), shardflight::redis::ClusterBuildError> {
    /// use shardflight::redis::Cluster;
    ///
    /// let cluster = Cluster::builder("redis://127.0.0.1").namespace("users").metrics("users").build()?;
    /// # Ok(()) }
    /// ```
    pub fn metrics(self, metrics: impl Into<Metrics>) -> Self {
        self.observed_by(Box::new(metrics.into()))
    }
}
