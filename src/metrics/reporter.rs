//! The observer: reports each shard's totals periodically, and records durations as flights and waits end.

use std::{sync::Arc, time::Duration};

use super::export::Export;
use crate::{
    error::{Closed, JoinError},
    observer::{Observer, Source, WaitEnd},
    stats::Stats,
    sync::{Runtime, Sleep, sleep},
};

pub(super) struct Reporter {
    pub(super) export: Arc<Export>,
    pub(super) every: Duration,
    pub(super) runtime: Runtime,
    pub(super) timers: Runtime,
}

impl Observer for Reporter {
    /// Spawns a task per shard, so that a blocked shard doesn't delay the reports of the others.
    fn opened(&self, shard: usize, source: Box<dyn Source>) {
        let (export, every, timers) = (Arc::clone(&self.export), self.every, self.timers.clone());
        self.runtime.spawn(async move {
            loop {
                pause(every, &timers).await;
                match source.totals().await {
                    Ok(totals) => export.report(shard, &totals),
                    // `closed` makes the final report.
                    Err(Closed) => return,
                }
            }
        });
    }

    fn completed(&self, latency: Duration, outcome: Option<&JoinError>, waiters: usize) {
        self.export.completed(latency, outcome, waiters);
    }

    fn waited(&self, wait: Duration, end: WaitEnd) {
        self.export.waited(wait, end);
    }

    fn passed(&self, reason: usize) {
        self.export.passed(reason);
    }

    fn abandoned(&self) {
        self.export.abandoned();
    }

    fn closed(&self, shard: usize, totals: Stats) {
        self.export.report_last(shard, &totals);
    }
}

pub(super) fn pause(every: Duration, timers: &Runtime) -> Sleep {
    // The runtime that the reporter runs on may have no timers.
    let _inside = timers.enter();
    sleep(every)
}

#[cfg(test)]
mod tests {
    use std::{any::TypeId, pin::Pin};

    use metrics::with_local_recorder;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tokio::{
        sync::watch,
        task::yield_now,
        time::{advance, timeout},
    };

    use super::*;
    use crate::metrics::export::Layout;

    fn totals(joins: u64, flights: usize) -> Stats {
        let mut totals = Stats::default();
        (totals.joins, totals.flights) = (joins, flights);
        totals
    }

    /// Holds its answer back until it is released.
    struct Slow(watch::Receiver<bool>);

    impl Source for Slow {
        fn totals(&self) -> Pin<Box<dyn Future<Output = Result<Stats, Closed>> + Send + '_>> {
            let mut released = self.0.clone();
            Box::pin(async move {
                released.wait_for(|released| *released).await.map_err(|_| Closed)?;
                Ok(totals(8, 3))
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_report_does_not_overwrite_the_final_one() {
        let test = async {
            let recorder = PrometheusBuilder::new().build_recorder();
            let layout = Layout::fixed(1, TypeId::of::<()>());
            let export = Arc::new(with_local_recorder(&recorder, || Export::new("users", layout)));
            let (runtime, every) = (Runtime::current(), Duration::from_secs(1));
            let reporter = Reporter { export, every, timers: runtime.clone(), runtime };
            let (release, released) = watch::channel(false);
            reporter.opened(0, Box::new(Slow(released)));
            yield_now().await;
            advance(every).await;
            yield_now().await;
            assert_eq!(release.receiver_count(), 2, "the shard is asked");
            reporter.closed(0, totals(7, 0));
            release.send_replace(true);
            while release.receiver_count() == 2 {
                yield_now().await;
            }
            let exported = recorder.handle().render();
            assert!(exported.contains(r#"shardflight_flights{coalescer="users",shard="0"} 0"#), "{exported}");
            assert!(exported.contains(r#"shardflight_joins_total{coalescer="users",shard="0"} 7"#), "{exported}");
        };
        timeout(Duration::from_secs(30), test).await.expect("the test hangs");
    }
}
