//! Alternates load and rest, and logs samples.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use shardflight::Stats;
use tokio::{
    runtime::Handle as Runtime,
    time::{sleep, sleep_until},
};

use crate::{
    Fallible,
    answer::Tally,
    arguments::Arguments,
    callers::Callers,
    fleet::Fleet,
    payload::Payload,
    sample::{Phase, Sample},
};

const INTERVAL: Duration = Duration::from_millis(500);
/// Far longer than any flight may last.
const REST_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) samples: Vec<Sample>,
    pub(crate) tally: Arc<Tally>,
    /// Leftovers and wrong counters at rests.
    pub(crate) failures: Vec<String>,
    /// The coalescers' final stats.
    pub(crate) stats: Vec<(&'static str, Stats)>,
    /// Tasks that were alive before the first load.
    pub(crate) baseline: usize,
    pub(crate) arguments: String,
}

struct Soak {
    fleet: Fleet,
    started: Instant,
    log: Log,
}

pub(crate) async fn soak(arguments: &Arguments) -> Fallible<Log> {
    let fleet = Fleet::launch()?;
    fleet.stats().await?;
    // Allocated in advance, so that the log doesn't grow.
    let samples = Vec::with_capacity(4 * usize::try_from(arguments.duration().as_secs())? + 64);
    let baseline = Runtime::current().metrics().num_alive_tasks();
    let description = format!(
        "{} callers for {} s in turns of {} s load and {} s rest, seed {}",
        arguments.callers,
        arguments.duration().as_secs(),
        arguments.load().as_secs_f64(),
        arguments.rest().as_secs_f64(),
        arguments.seed,
    );
    println!("{description}");
    let (tally, failures, stats) = (Arc::default(), Vec::new(), Vec::new());
    let log = Log { samples, tally, failures, stats, baseline, arguments: description };
    let mut soak = Soak { fleet, started: Instant::now(), log };
    let mut random = fastrand::Rng::with_seed(arguments.seed);
    while soak.started.elapsed() < arguments.duration() {
        let callers = Callers::send(arguments.callers, &soak.fleet, &mut random, &soak.log.tally);
        soak.sample_for(Phase::Load, arguments.load()).await?;
        soak.sample(Phase::Load).await?;
        callers.finish().await?;
        soak.come_to_rest().await?;
        soak.sample_for(Phase::Rest, arguments.rest()).await?;
        soak.sample(Phase::EndOfRest).await?;
        soak.progress();
    }
    soak.log.stats = soak.fleet.stats().await?;
    Ok(soak.log)
}

impl Soak {
    async fn sample(&mut self, phase: Phase) -> Fallible<()> {
        let sample = Sample::take(&self.fleet, self.started, phase, self.log.tally.total()).await?;
        self.log.samples.push(sample);
        Ok(())
    }

    async fn sample_for(&mut self, phase: Phase, duration: Duration) -> Fallible<()> {
        let over = tokio::time::Instant::now() + duration;
        while tokio::time::Instant::now() < over {
            self.sample(phase).await?;
            sleep_until(over.min(tokio::time::Instant::now() + INTERVAL)).await;
        }
        Ok(())
    }

    /// Waits until nothing is left of the callers, or logs what is.
    async fn come_to_rest(&mut self) -> Fallible<()> {
        let deadline = Instant::now() + REST_LIMIT;
        loop {
            let failures = self.failures().await?;
            if failures.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let at = self.started.elapsed().as_secs();
                for failure in failures {
                    let failure = format!("{failure}, {REST_LIMIT:?} into the rest at {at} s");
                    println!("{failure}");
                    self.log.failures.push(failure);
                }
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn failures(&self) -> Fallible<Vec<String>> {
        let mut failures = Vec::new();
        for (name, stats) in self.fleet.stats().await? {
            let Stats { joins, executions, coalesced, rejections, bypasses, flights, waiters, .. } = stats;
            if (flights, waiters) != (0, 0) {
                failures.push(format!("{name}: {flights} flights and {waiters} waiters are left; the limit is 0"));
            }
            if joins != executions + coalesced + rejections + bypasses {
                failures.push(format!(
                    "{name}: {joins} joins, but {executions} executions + {coalesced} coalesced + {rejections} \
                     rejections + {bypasses} bypasses"
                ));
            }
        }
        let tasks = Runtime::current().metrics().num_alive_tasks();
        if tasks != self.log.baseline {
            failures.push(format!("{tasks} tasks are alive; before the first load there were {}", self.log.baseline));
        }
        let values = Payload::alive();
        if values > 0 {
            failures.push(format!("{values} values are alive; the limit is 0"));
        }
        Ok(failures)
    }

    fn progress(&self) {
        let [.., before, end] = self.log.samples.as_slice() else { return };
        let busiest = self.log.samples.iter().rev().skip_while(|sample| sample.phase != Phase::Load);
        let (flights, waiters) = busiest
            .take_while(|sample| sample.phase == Phase::Load)
            .fold((0, 0), |(flights, waiters), sample| (sample.flights.max(flights), sample.waiters.max(waiters)));
        println!(
            "{:>6.0} s  {:>11} calls  load: up to {flights} flights, {waiters} waiters  rest: {} tasks, {:.2} MiB live, \
             {} resident",
            end.at.as_secs_f64(),
            before.calls,
            end.tasks,
            mebibytes(end.live),
            end.resident.map_or_else(|| "unknown".to_string(), |bytes| format!("{:.1} MiB", mebibytes(bytes))),
        );
    }
}

pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
