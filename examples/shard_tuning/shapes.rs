//! The shapes of load. Each call is made and awaited in a spawned task, as in servers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use shardflight::{Coalescer, Handle, JoinError};
use tokio::task::{JoinHandle, yield_now};

use crate::{Fallible, gate::Gate, zipf::Zipf};

const LONELY_CALLS: u64 = 500;
const SPARSE_CALLERS: u64 = 4;
const SPARSE_CALLS: u64 = 125;
const BURST: usize = 1_000;
const LOOP_TASKS: u64 = 1_024;
const LOOP_CALLS: u64 = 4;
const LOOP_KEYS: usize = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// One caller, a new key each time
    Lonely,
    /// Four callers, each with a new key of its own each time
    Sparse,
    /// A thousand callers of one key at once
    Burst,
    /// A thousand tasks that repeatedly call for one of 100,000 keys, of which a few are far more frequent
    Loop,
}

impl Shape {
    pub(crate) const ALL: [Self; 4] = [Self::Lonely, Self::Sparse, Self::Burst, Self::Loop];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lonely => "lonely",
            Self::Sparse => "sparse",
            Self::Burst => "burst",
            Self::Loop => "loop",
        }
    }
}

/// The nanoseconds per join with this number of shards, measured in batches for about this duration.
pub(crate) async fn sample(shape: Shape, shards: usize, long: Duration) -> Fallible<f64> {
    let coalescer = Coalescer::builder().shards(shards).build()?;
    let mut load = Load { handle: coalescer.handle(), zipf: Arc::new(Zipf::new(LOOP_KEYS)), batches: 0 };
    // In a spawned task, where a server would make the calls.
    let measured = tokio::spawn(async move {
        let start = Instant::now();
        // Not measured: a warm-up for lazy initialisation.
        load.batch(shape).await?;
        let (mut joins, mut took) = (0, Duration::ZERO);
        while joins == 0 || start.elapsed() < long {
            let start = Instant::now();
            joins += load.batch(shape).await?;
            took += start.elapsed();
        }
        Ok::<_, JoinError>(took.as_secs_f64() * 1e9 / joins as f64)
    });
    Ok(measured.await??)
}

struct Load {
    handle: Handle<u64, u64>,
    zipf: Arc<Zipf>,
    batches: u64,
}

impl Load {
    /// Runs one batch, and returns its number of joins.
    async fn batch(&mut self, shape: Shape) -> Result<u64, JoinError> {
        self.batches += 1;
        match shape {
            Shape::Lonely => self.few(1, LONELY_CALLS).await,
            Shape::Sparse => self.few(SPARSE_CALLERS, SPARSE_CALLS).await,
            Shape::Burst => self.burst().await,
            Shape::Loop => self.closed_loop().await,
        }
    }

    async fn few(&self, callers: u64, calls: u64) -> Result<u64, JoinError> {
        let tasks = (0..callers).map(|caller| {
            let (handle, first) = (self.handle.clone(), (self.batches * callers + caller) * calls);
            tokio::spawn(async move {
                for key in first..first + calls {
                    handle.join(key, move || suspended(key)).await?;
                }
                Ok(())
            })
        });
        ended(tasks.collect()).await?;
        Ok(callers * calls)
    }

    /// The work waits for the last caller, so that all of them share it however they are scheduled.
    async fn burst(&self) -> Result<u64, JoinError> {
        let gate = Gate::new(BURST);
        let tasks = (0..BURST).map(|_| {
            let (handle, gate) = (self.handle.clone(), Arc::clone(&gate));
            tokio::spawn(async move {
                let work_gate = Arc::clone(&gate);
                let work = move || async move {
                    work_gate.passed().await;
                    0
                };
                gate.counting(handle.join(0_u64, work)).await.map(drop)
            })
        });
        ended(tasks.collect()).await?;
        Ok(BURST as u64)
    }

    async fn closed_loop(&self) -> Result<u64, JoinError> {
        let tasks = (0..LOOP_TASKS).map(|task| {
            let (handle, zipf) = (self.handle.clone(), Arc::clone(&self.zipf));
            let mut seed = self.batches * LOOP_TASKS + task;
            tokio::spawn(async move {
                for _ in 0..LOOP_CALLS {
                    let key = zipf.sample(&mut seed);
                    handle.join(key, move || suspended(key)).await?;
                }
                Ok(())
            })
        });
        ended(tasks.collect()).await?;
        Ok(LOOP_TASKS * LOOP_CALLS)
    }
}

/// Work that suspends once.
async fn suspended(key: u64) -> u64 {
    yield_now().await;
    key
}

async fn ended(tasks: Vec<JoinHandle<Result<(), JoinError>>>) -> Result<(), JoinError> {
    for task in tasks {
        task.await.expect("nothing here panics or is aborted")?;
    }
    Ok(())
}
