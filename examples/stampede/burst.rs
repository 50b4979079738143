//! A burst of requests, and their outcomes.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use indicatif::ProgressBar;
use tokio::task::JoinSet;

use crate::clients::{Answer, Clients};

#[derive(Debug, Default)]
pub(crate) struct Burst {
    pub(crate) right: usize,
    pub(crate) refused: usize,
    pub(crate) stale: usize,
    pub(crate) wrong: usize,
    pub(crate) hung_up: usize,
    /// The first wrong answer, for the report.
    pub(crate) first_wrong: Option<String>,
    /// From a request's start to its complete answer, sorted.
    latencies: Vec<Duration>,
    pub(crate) wall: Duration,
}

impl Burst {
    /// Starts all requests at once, and waits for all of them.
    pub(crate) async fn run(
        clients: &Clients,
        requests: usize,
        post: u32,
        expected: &Bytes,
        bar: &ProgressBar,
    ) -> Self {
        let started = Instant::now();
        let mut callers = JoinSet::new();
        for index in 0..requests {
            callers.spawn(timed(clients.request(index, post, expected.clone())));
        }
        Self::collect(started, callers, bar).await
    }

    /// Waits for the callers. Aborted ones count as hung up.
    pub(crate) async fn collect(started: Instant, mut callers: JoinSet<(Answer, Duration)>, bar: &ProgressBar) -> Self {
        let mut burst = Self::default();
        while let Some(ended) = callers.join_next().await {
            bar.inc(1);
            match ended {
                Ok((answer, latency)) => burst.count(answer, latency),
                Err(error) if error.is_cancelled() => burst.hung_up += 1,
                Err(error) => burst.count_wrong(error.to_string()),
            }
        }
        burst.end(started)
    }

    /// What readers were answered that have come back again and again.
    pub(crate) fn of(started: Instant, answers: impl IntoIterator<Item = (Answer, Duration)>) -> Self {
        let mut burst = Self::default();
        answers.into_iter().for_each(|(answer, latency)| burst.count(answer, latency));
        burst.end(started)
    }

    fn end(mut self, started: Instant) -> Self {
        self.wall = started.elapsed();
        self.latencies.sort_unstable();
        self
    }

    fn count(&mut self, answer: Answer, latency: Duration) {
        self.latencies.push(latency);
        match answer {
            Answer::Right => self.right += 1,
            Answer::Refused => self.refused += 1,
            Answer::Stale => self.stale += 1,
            Answer::Wrong(what) => self.count_wrong(what),
        }
    }

    fn count_wrong(&mut self, what: String) {
        self.wrong += 1;
        self.first_wrong.get_or_insert(what);
    }

    pub(crate) fn requests(&self) -> usize {
        self.right + self.refused + self.stale + self.wrong + self.hung_up
    }

    pub(crate) fn mean(&self) -> Duration {
        let count = u32::try_from(self.latencies.len()).unwrap_or(u32::MAX);
        self.latencies.iter().sum::<Duration>().checked_div(count).unwrap_or_default()
    }

    /// The latency that `percent` of the answered requests didn't exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// Measures from the first poll.
pub(crate) async fn timed(request: impl Future<Output = Answer>) -> (Answer, Duration) {
    let launched = Instant::now();
    (request.await, launched.elapsed())
}
