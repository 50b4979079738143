//! Bounds of histograms for exporters that need some.

/// One list for durations and for callers: below a second nothing is a number of callers but 0, and above the default deadline
/// of 30 seconds there are hardly any durations.
const BUCKETS: [f64; 20] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 100.0, 300.0,
    1_000.0, 10_000.0,
];

/// Bounds for the histograms of this crate, in seconds and in callers.
///
/// Without buckets, [metrics-exporter-prometheus](https://docs.rs/metrics-exporter-prometheus) exports summaries: their quantiles
/// can't be aggregated over instances, and queries of `…_bucket`, such as those of the example dashboard, find nothing. One line
/// sets them, for all histograms of this crate and for no others:
///
/// ```
/// use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
///
/// # fn main() -> Result<(), metrics_exporter_prometheus::BuildError> {
/// let exporter = PrometheusBuilder::new()
///     .set_buckets_for_metric(Matcher::Prefix("shardflight_".into()), shardflight::metrics::buckets())?
///     .install_recorder()?;
/// # Ok(()) }
/// ```
///
/// They ascend from half a millisecond to a minute in steps of 2 to 3, and on to 10,000 callers. If the work takes microseconds or
/// minutes, give the exporter a list of your own for `shardflight_flight_duration_seconds` and
/// `shardflight_wait_duration_seconds`; a `Matcher::Full` takes precedence over the prefix.
pub fn buckets() -> &'static [f64] {
    &BUCKETS
}
