//! Installs the recorder: here the one for Prometheus, but any recorder of the `metrics` facade works.

use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::interval;

use crate::Fallible;

const UPKEEP: Duration = Duration::from_secs(5);

/// Call it before the first coalescer is built: what is measured before is lost.
pub(crate) fn install() -> Fallible<PrometheusHandle> {
    // Without buckets the exporter makes summaries, which can't be aggregated over instances, and which the dashboard's
    // queries don't find.
    let exporter = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Prefix("shardflight_".into()), shardflight::metrics::buckets())?
        .install_recorder()?;
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
