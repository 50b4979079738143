//! What is measured, of one contender at a time.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};

use crate::contenders::{Backend, Contender};

/// What the backend takes where the number of batches counts.
const TAKES: Duration = Duration::from_millis(5);

pub(crate) fn runtime(workers: usize) -> Runtime {
    let mut builder = if workers == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    if workers > 1 {
        builder.worker_threads(workers);
    }
    builder.enable_all().build().expect("a runtime")
}

/// Microseconds per load, one after the other in one task, where the backend answers at once.
pub(crate) fn lonely<C: Contender>(workers: usize, loads: u64) -> f64 {
    runtime(workers).block_on(async {
        let contender = C::new(Backend::new(None));
        let loading = async move {
            for key in 0..loads / 10 {
                contender.load(key).await;
            }
            let began = Instant::now();
            for key in loads..2 * loads {
                assert_eq!(contender.load(key).await, key);
            }
            began.elapsed().as_secs_f64() * 1e6 / loads as f64
        };
        tokio::spawn(loading).await.expect("loads that can't fail")
    })
}

/// A hundred tasks that each load a key of their own: batches, and milliseconds until the last has its answer.
pub(crate) fn burst<C: Contender>(workers: usize, bursts: u64) -> [f64; 2] {
    runtime(workers).block_on(async {
        let backend = Backend::new(Some(TAKES));
        let contender = C::new(backend.clone());
        let began = Instant::now();
        let all = async move {
            for burst in 0..bursts {
                let mut tasks = JoinSet::new();
                for key in 100 * burst..100 * (burst + 1) {
                    let contender = contender.clone();
                    tasks.spawn(async move { contender.load(key).await });
                }
                tasks.join_all().await;
            }
        };
        tokio::spawn(all).await.expect("loads that can't fail");
        [backend.batches() / bursts as f64, began.elapsed().as_secs_f64() * 1e3 / bursts as f64]
    })
}

/// 64 tasks that load one key after the other: keys per batch, and loads per millisecond.
pub(crate) fn loops<C: Contender>(workers: usize, loads: u64) -> [f64; 2] {
    runtime(workers).block_on(async {
        let backend = Backend::new(Some(TAKES));
        let contender = C::new(backend.clone());
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for task in 0..64 {
            let contender = contender.clone();
            tasks.spawn(async move {
                for key in loads * task..loads * (task + 1) {
                    contender.load(key).await;
                }
            });
        }
        tasks.join_all().await;
        [backend.keys() / backend.batches(), backend.keys() / (began.elapsed().as_secs_f64() * 1e3)]
    })
}

/// Nanoseconds per key, where the backend answers at once: a hundred loads in one task, again and again.
pub(crate) fn per_key<C: Contender>(workers: usize, rounds: u64) -> f64 {
    runtime(workers).block_on(async {
        let contender = C::new(Backend::new(None));
        let loading = async move {
            let round =
                async |round: u64| join_all((100 * round..100 * (round + 1)).map(|key| contender.load(key))).await;
            for number in 0..rounds / 10 {
                round(number).await;
            }
            let began = Instant::now();
            for number in rounds..2 * rounds {
                round(number).await;
            }
            began.elapsed().as_secs_f64() * 1e9 / (100 * rounds) as f64
        };
        tokio::spawn(loading).await.expect("loads that can't fail")
    })
}

/// The same by calls for a hundred keys.
pub(crate) fn per_key_of_many<C: Contender>(workers: usize, rounds: u64) -> f64 {
    runtime(workers).block_on(async {
        let contender = C::new(Backend::new(None));
        let loading = async move {
            let keys = |round: u64| (100 * round..100 * (round + 1)).collect();
            for number in 0..rounds / 10 {
                contender.load_many(keys(number)).await;
            }
            let began = Instant::now();
            for number in rounds..2 * rounds {
                assert_eq!(contender.load_many(keys(number)).await, 100);
            }
            began.elapsed().as_secs_f64() * 1e9 / (100 * rounds) as f64
        };
        tokio::spawn(loading).await.expect("loads that can't fail")
    })
}
