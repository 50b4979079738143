//! All callers of one phase of load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{task::JoinSet, time::sleep};

use crate::{
    Fallible,
    answer::Tally,
    fleet::Fleet,
    script::call,
    side_load::{blocking_call, short_life},
};

const THREADS: usize = 4;
const BUILDERS: usize = 4;

#[derive(Debug)]
pub(crate) struct Callers {
    over: Arc<AtomicBool>,
    tasks: JoinSet<Fallible<()>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Callers {
    /// Gives each caller a random generator of its own, so that its actions depend on the seed only.
    pub(crate) fn send(callers: u32, fleet: &Fleet, random: &mut fastrand::Rng, tally: &Arc<Tally>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for _ in 0..callers {
            let (fleet, mut random) = (fleet.clone(), random.fork());
            let (tally, over) = (Arc::clone(tally), Arc::clone(&over));
            tasks.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    call(&fleet, &mut random, &tally).await;
                    sleep(Duration::from_millis(random.u64(0..30))).await;
                }
                Ok(())
            });
        }
        for _ in 0..BUILDERS {
            let mut random = random.fork();
            let (tally, over) = (Arc::clone(tally), Arc::clone(&over));
            tasks.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    short_life(&mut random, &tally).await?;
                }
                Ok(())
            });
        }
        let thread = |mut random: fastrand::Rng| {
            let (fleet, tally, over) = (fleet.clone(), Arc::clone(tally), Arc::clone(&over));
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    blocking_call(&fleet, &mut random, &tally);
                }
            })
        };
        let threads = (0..THREADS).map(|_| thread(random.fork())).collect();
        Self { over, tasks, threads }
    }

    /// Stops new calls, and waits for those under way.
    pub(crate) async fn finish(mut self) -> Fallible<()> {
        self.over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        for thread in self.threads {
            tokio::task::spawn_blocking(|| thread.join()).await?.map_err(|_| "a calling thread panicked")?;
        }
        Ok(())
    }
}
