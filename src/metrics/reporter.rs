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
