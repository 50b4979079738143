//! Steady traffic of many keys.

use std::{
    hash::{BuildHasherDefault, DefaultHasher},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use shardflight::Handle;
use tokio::{
    sync::watch,
    task::{self, JoinSet},
    time::sleep,
};

use crate::{Fallible, wait::eventually};

/// A fixed hash, so that the rollout selects the same keys in every run.
pub(super) type Hasher = BuildHasherDefault<DefaultHasher>;

pub(super) const KEYS: usize = 1_000;

/// Concurrent callers of the same key.
const BURST: u64 = 6;
/// Tasks that each send one burst after another.
const SENDERS: usize = 32;

/// How often each key is requested before a batch is full.
const ROUNDS: usize = 2;

const LATENCY: Duration = Duration::from_millis(2);

/// The calls between two changes of the rollout. A call belongs to the batch that was current when it started.
#[derive(Debug)]
pub(super) struct Batch {
    next: AtomicUsize,
    keys: Box<[Tally]>,
}

/// Counts who ran the work for one key.
#[derive(Debug, Default)]
struct Tally {
    callers: AtomicU64,
    /// Runs in callers.
    in_place: AtomicU64,
    /// Runs in flights.
    in_flight: AtomicU64,
}

impl Batch {
    fn new() -> Arc<Self> {
        let keys = (0..KEYS).map(|_| Tally::default()).collect();
        Arc::new(Self { next: AtomicUsize::new(0), keys })
    }

    fn is_full(&self) -> bool {
        self.next.load(Ordering::SeqCst) >= KEYS * ROUNDS
    }

    /// Whether each key was coalesced; `None` if in part.
    pub(super) fn coalesced(&self) -> Vec<Option<bool>> {
        self.keys.iter().map(Tally::coalesced).collect()
    }
}

impl Tally {
    fn coalesced(&self) -> Option<bool> {
        let [callers, in_place, in_flight] =
            [&self.callers, &self.in_place, &self.in_flight].map(|count| count.load(Ordering::SeqCst));
        match (in_place, in_flight) {
            (0, 1..) => Some(true),
            (1.., 0) if in_place == callers => Some(false),
            _ => None,
        }
    }
}

/// Sums over the whole traffic, as counted by the callers and the work.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) callers: AtomicU64,
    pub(super) in_place: AtomicU64,
    pub(super) in_flight: AtomicU64,
    pub(super) wrong: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Traffic {
    batch: watch::Sender<Arc<Batch>>,
    sums: Arc<Sums>,
    stopped: Arc<AtomicBool>,
    senders: JoinSet<()>,
}

impl Traffic {
    pub(super) fn start(handle: &Handle<usize, usize, Hasher>) -> Self {
        let mut traffic = Self {
            batch: watch::Sender::new(Batch::new()),
            sums: Arc::default(),
            stopped: Arc::default(),
            senders: JoinSet::new(),
        };
        for _ in 0..SENDERS {
            let (batches, stopped) = (traffic.batch.subscribe(), Arc::clone(&traffic.stopped));
            let (handle, sums) = (handle.clone(), Arc::clone(&traffic.sums));
            traffic.senders.spawn(async move {
                while !stopped.load(Ordering::SeqCst) {
                    let batch = Arc::clone(&batches.borrow());
                    burst(&handle, &batch, &sums).await;
                }
            });
        }
        traffic
    }

    /// Starts a new batch, and waits until it is full and its calls have ended. The traffic continues meanwhile.
    pub(super) async fn run_batch(&self) -> Fallible<Arc<Batch>> {
        let batch = Batch::new();
        self.batch.send_replace(Arc::clone(&batch));
        eventually("each key to be requested", || batch.is_full()).await?;
        self.batch.send_replace(Batch::new());
        eventually("the calls to end", || Arc::strong_count(&batch) == 1).await?;
        Ok(batch)
    }

    pub(super) async fn stop(mut self) -> Fallible<Arc<Sums>> {
        self.stopped.store(true, Ordering::SeqCst);
        while let Some(ended) = self.senders.join_next().await {
            ended?;
        }
        Ok(self.sums)
    }
}

/// Concurrent callers in one task: bypassed work runs in that task, and other work in its flight's task.
async fn burst(handle: &Handle<usize, usize, Hasher>, batch: &Arc<Batch>, sums: &Arc<Sums>) {
    let key = batch.next.fetch_add(1, Ordering::SeqCst) % KEYS;
    let caller = task::id();
    let ask = || {
        let (batch, sums) = (Arc::clone(batch), Arc::clone(sums));
        handle.join(key, move || async move {
            let tally = &batch.keys[key];
            let (by_key, in_sum) = if task::id() == caller {
                (&tally.in_place, &sums.in_place)
            } else {
                (&tally.in_flight, &sums.in_flight)
            };
            by_key.fetch_add(1, Ordering::SeqCst);
            in_sum.fetch_add(1, Ordering::SeqCst);
            sleep(LATENCY).await;
            key
        })
    };
    batch.keys[key].callers.fetch_add(BURST, Ordering::SeqCst);
    sums.callers.fetch_add(BURST, Ordering::SeqCst);
    for answer in join_all((0..BURST).map(|_| ask())).await {
        if !answer.is_ok_and(|answer| answer == key) {
            sums.wrong.fetch_add(1, Ordering::SeqCst);
        }
    }
}
