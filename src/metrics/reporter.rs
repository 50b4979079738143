//! Reads the shards' totals every so often, and says how long things took as they end.

use std::{sync::Arc, time::Duration};

use super::instruments::Instruments;
use crate::{
    error::{Closed, JoinError},
    host::{Runtime, Sleep, sleep},
    stats::Stats,
    watch::{Ending, Source, Watch},
};

pub(super) struct Reporter {
    pub(super) instruments: Arc<Instruments>,
    pub(super) every: Duration,
    pub(super) runtime: Runtime,
    pub(super) timers: Runtime,
}

impl Watch for Reporter {
    /// A task per shard: one that is kept from answering keeps nobody else's figures from being told.
    fn opened(&self, shard: usize, source: Box<dyn Source>) {
        let (instruments, every, timers) = (Arc::clone(&self.instruments), self.every, self.timers.clone());
        self.runtime.spawn(async move {
            loop {
                rest(every, &timers).await;
                match source.totals().await {
                    Ok(totals) => instruments.report(shard, totals),
                    // Its last word is its own.
                    Err(Closed) => return,
                }
            }
        });
    }

    fn landed(&self, latency: Duration, outcome: Option<&JoinError>, waiters: usize) {
        self.instruments.landed(latency, outcome, waiters);
    }

    fn waited(&self, wait: Duration, ending: Ending) {
        self.instruments.waited(wait, ending);
    }

    fn closed(&self, shard: usize, totals: Stats) {
        self.instruments.report_last(shard, totals);
    }
}

fn rest(every: Duration, timers: &Runtime) -> Sleep {
    // The runtime that the reporter is on may have no timers.
    let _inside = timers.enter();
    sleep(every)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use metrics::with_local_recorder;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tokio::{
        sync::watch,
        task::yield_now,
        time::{advance, timeout},
    };

    use super::*;
    use crate::router::Bypasses;

    fn totals(joins: u64, flights: usize) -> Stats {
        let mut totals = Stats::default();
        (totals.joins, totals.flights) = (joins, flights);
        totals
    }

    /// Has its answer ready, and keeps it back until it is told.
    struct Slow(watch::Receiver<bool>);

    impl Source for Slow {
        fn totals(&self) -> Pin<Box<dyn Future<Output = Result<Stats, Closed>> + Send + '_>> {
            let mut told = self.0.clone();
            Box::pin(async move {
                told.wait_for(|told| *told).await.map_err(|_| Closed)?;
                Ok(totals(8, 3))
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_older_is_told_after_a_shards_last_word() {
        let test = async {
            let recorder = PrometheusBuilder::new().build_recorder();
            let bypasses: Arc<[_]> = Arc::new([Bypasses::default()]);
            let instruments = Arc::new(with_local_recorder(&recorder, || Instruments::register("users", bypasses)));
            let (runtime, every) = (Runtime::current(), Duration::from_secs(1));
            let reporter = Reporter { instruments, every, timers: runtime.clone(), runtime };
            let (tell, told) = watch::channel(false);
            reporter.opened(0, Box::new(Slow(told)));
            yield_now().await;
            advance(every).await;
            yield_now().await;
            assert_eq!(tell.receiver_count(), 2, "the shard is asked");
            reporter.closed(0, totals(7, 0));
            tell.send_replace(true);
            while tell.receiver_count() == 2 {
                yield_now().await;
            }
            let exported = recorder.handle().render();
            assert!(exported.contains(r#"shardflight_flights{coalescer="users",shard="0"} 0"#), "{exported}");
            assert!(exported.contains(r#"shardflight_joins_total{coalescer="users",shard="0"} 7"#), "{exported}");
        };
        timeout(Duration::from_secs(30), test).await.expect("the test hangs");
    }
}
