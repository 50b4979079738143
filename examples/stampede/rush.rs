//! Many requests at once, and what became of them.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use indicatif::ProgressBar;
use tokio::task::JoinSet;

use crate::crowd::{Answer, Crowd};

#[derive(Debug, Default)]
pub(crate) struct Rush {
    pub(crate) right: usize,
    pub(crate) refused: usize,
    pub(crate) wrong: usize,
    pub(crate) hung_up: usize,
    /// One of those that were wrong, to start looking from.
    pub(crate) first_wrong: Option<String>,
    /// From a request's launch to its whole answer; of those that were answered, sorted.
    latencies: Vec<Duration>,
    pub(crate) wall: Duration,
}

impl Rush {
    /// Launches all requests at once and sees each of them to its end.
    pub(crate) async fn run(crowd: &Crowd, requests: usize, post: u32, expected: &Bytes, bar: &ProgressBar) -> Self {
        let started = Instant::now();
        let mut callers = JoinSet::new();
        for index in 0..requests {
            callers.spawn(timed(crowd.request(index, post, expected.clone())));
        }
        Self::collect(started, callers, bar).await
    }

    /// Sees callers to their end. Those that were aborted have hung up.
    pub(crate) async fn collect(started: Instant, mut callers: JoinSet<(Answer, Duration)>, bar: &ProgressBar) -> Self {
        let mut rush = Self::default();
        while let Some(ended) = callers.join_next().await {
            bar.inc(1);
            match ended {
                Ok((answer, latency)) => rush.count(answer, latency),
                Err(error) if error.is_cancelled() => rush.hung_up += 1,
                Err(error) => rush.count_wrong(error.to_string()),
            }
        }
        rush.wall = started.elapsed();
        rush.latencies.sort_unstable();
        rush
    }

    fn count(&mut self, answer: Answer, latency: Duration) {
        self.latencies.push(latency);
        match answer {
            Answer::Right => self.right += 1,
            Answer::Refused => self.refused += 1,
            Answer::Wrong(what) => self.count_wrong(what),
        }
    }

    fn count_wrong(&mut self, what: String) {
        self.wrong += 1;
        self.first_wrong.get_or_insert(what);
    }

    pub(crate) fn requests(&self) -> usize {
        self.right + self.refused + self.wrong + self.hung_up
    }

    pub(crate) fn mean(&self) -> Duration {
        let count = u32::try_from(self.latencies.len()).unwrap_or(u32::MAX);
        self.latencies.iter().sum::<Duration>().checked_div(count).unwrap_or_default()
    }

    /// The latency that `percent` of the answered requests stayed within.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// Measures from the first poll on: a request counts as launched when it can do something.
pub(crate) async fn timed(request: impl Future<Output = Answer>) -> (Answer, Duration) {
    let launched = Instant::now();
    (request.await, launched.elapsed())
}
