//! Callers, a task each, and what they got.

use std::{collections::HashMap, fmt, ops::Range, time::Duration};

use tokio::{task::JoinSet, time::Instant};

use crate::{Fallible, failure::Failure, page::Page};

#[derive(Debug, Default)]
pub(crate) struct Callers {
    tasks: JoinSet<(Duration, u32, Result<Page, Failure>)>,
}

impl Callers {
    /// Spawns so many callers for each of the keys.
    pub(crate) fn spawn<F>(&mut self, keys: Range<u32>, per_key: u32, ask: impl Fn(u32) -> F)
    where
        F: Future<Output = Result<Page, Failure>> + Send + 'static,
    {
        for key in keys {
            for _ in 0..per_key {
                let answer = ask(key);
                self.tasks.spawn(async move {
                    let begin = Instant::now();
                    let answer = answer.await;
                    (begin.elapsed(), key, answer)
                });
            }
        }
    }

    pub(crate) async fn finish(mut self) -> Fallible<Tally> {
        let mut tally = Tally::default();
        while let Some(ended) = self.tasks.join_next().await {
            let (wait, key, answer) = ended?;
            tally.add(wait, key, answer)?;
        }
        Ok(tally)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) fresh: usize,
    pub(crate) stale: usize,
    failures: HashMap<Failure, usize>,
    waits: Vec<Duration>,
}

impl Tally {
    pub(crate) fn add(&mut self, wait: Duration, key: u32, answer: Result<Page, Failure>) -> Fallible<()> {
        self.waits.push(wait);
        match answer {
            Ok(Page { text, .. }) if *text != *format!("/pages/{key}") => {
                return Err(format!("page {key} is {text:?}").into());
            }
            Ok(Page { is_stale: false, .. }) => self.fresh += 1,
            Ok(Page { is_stale: true, .. }) => self.stale += 1,
            Err(failure) => *self.failures.entry(failure).or_default() += 1,
        }
        Ok(())
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.fresh += other.fresh;
        self.stale += other.stale;
        self.waits.extend(other.waits);
        for (failure, count) in other.failures {
            *self.failures.entry(failure).or_default() += count;
        }
    }

    pub(crate) fn of(&self, failure: Failure) -> usize {
        self.failures.get(&failure).copied().unwrap_or_default()
    }

    pub(crate) fn failed(&self) -> usize {
        self.failures.values().sum()
    }

    pub(crate) fn total(&self) -> usize {
        self.waits.len()
    }

    /// The wait that this part of the callers didn't exceed.
    pub(crate) fn quantile(&self, part: f64) -> Duration {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let index = (waits.len() as f64 * part) as usize;
        waits.get(index.min(waits.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    pub(crate) fn slowest(&self) -> Duration {
        self.quantile(1.0)
    }
}

/// Who got what, most frequent first.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<_> = self.failures.iter().map(|(failure, count)| (*count, failure.to_string())).collect();
        parts.extend([(self.fresh, "the page".to_owned()), (self.stale, "an old page".to_owned())]);
        parts.retain(|(count, _)| *count > 0);
        parts.sort_unstable_by(|a, b| b.cmp(a));
        let parts: Vec<_> = parts.into_iter().map(|(count, what)| format!("{count} × {what}")).collect();
        f.write_str(&parts.join(", "))
    }
}
