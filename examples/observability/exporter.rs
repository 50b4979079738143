//! Installs the recorder: here the one for Prometheus, but any recorder of the `metrics` facade works.

use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::interval;

use crate::Fallible;

/// Buckets around the database's latency. Without buckets the exporter makes summaries, which can't be aggregated over
/// instances.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
const CALLERS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];

const UPKEEP: Duration = Duration::from_secs(5);

/// Call it before the first coalescer is built, which uses the recorder that is installed then.
pub(crate) fn install() -> Fallible<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Full("shardflight_flight_waiters".into()), &CALLERS)?;
    let exporter = builder.install_recorder()?;
    let upkeep = exporter.clone();
    tokio::spawn(async move {
        let mut times = interval(UPKEEP);
        loop {
            times.tick().await;
            // Until this or a scrape, the exporter keeps each sample of a histogram.
            upkeep.run_upkeep();
        }
    });
    Ok(exporter)
}
