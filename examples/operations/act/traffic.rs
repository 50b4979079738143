//! Steady traffic of many keys, and who ran what for whom.

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

use crate::{Fallible, patience::eventually};

/// The same keys in every process, and in every run of this.
pub(super) type Hasher = BuildHasherDefault<DefaultHasher>;

pub(super) const KEYS: usize = 1_000;

/// Callers that want the same key at the same moment.
const CROWD: u64 = 6;
const CROWDS: usize = 32;

/// How often each key is asked for before a sheet is full.
const ROUNDS: usize = 2;

const LATENCY: Duration = Duration::from_millis(2);

/// The calls between two changes of the rollout. A call belongs to the sheet that was current when it was begun.
#[derive(Debug)]
pub(super) struct Sheet {
    next: AtomicUsize,
    keys: Box<[Tally]>,
}

/// Who ran the work for one key.
#[derive(Debug, Default)]
struct Tally {
    callers: AtomicU64,
    /// By callers themselves.
    in_place: AtomicU64,
    /// By flights.
    in_flight: AtomicU64,
}

impl Sheet {
    fn new() -> Arc<Self> {
        let keys = (0..KEYS).map(|_| Tally::default()).collect();
        Arc::new(Self { next: AtomicUsize::new(0), keys })
    }

    fn is_full(&self) -> bool {
        self.next.load(Ordering::SeqCst) >= KEYS * ROUNDS
    }

    /// Of each key, whether it was coalesced; `None` if only in part.
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

/// Sums over the whole of the traffic, as the callers and the work tell them.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) callers: AtomicU64,
    pub(super) in_place: AtomicU64,
    pub(super) in_flight: AtomicU64,
    pub(super) wrong: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Traffic {
    sheet: watch::Sender<Arc<Sheet>>,
    sums: Arc<Sums>,
    over: Arc<AtomicBool>,
    crowds: JoinSet<()>,
}

impl Traffic {
    pub(super) fn start(handle: &Handle<usize, usize, Hasher>) -> Self {
        let mut traffic = Self {
            sheet: watch::Sender::new(Sheet::new()),
            sums: Arc::default(),
            over: Arc::default(),
            crowds: JoinSet::new(),
        };
        for _ in 0..CROWDS {
            let (sheets, over) = (traffic.sheet.subscribe(), Arc::clone(&traffic.over));
            let (handle, sums) = (handle.clone(), Arc::clone(&traffic.sums));
            traffic.crowds.spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    let sheet = Arc::clone(&sheets.borrow());
                    crowd(&handle, &sheet, &sums).await;
                }
            });
        }
        traffic
    }

    /// Fills a new sheet and waits for the calls on it to end. The traffic flows on beside it, before and after.
    pub(super) async fn fill_sheet(&self) -> Fallible<Arc<Sheet>> {
        let sheet = Sheet::new();
        self.sheet.send_replace(Arc::clone(&sheet));
        eventually("each key to be asked for", || sheet.is_full()).await?;
        self.sheet.send_replace(Sheet::new());
        eventually("the calls to end", || Arc::strong_count(&sheet) == 1).await?;
        Ok(sheet)
    }

    pub(super) async fn stop(mut self) -> Fallible<Arc<Sums>> {
        self.over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.crowds.join_next().await {
            ended?;
        }
        Ok(self.sums)
    }
}

/// Some callers at once, all in one task: what is bypassed runs in that task, and what isn't runs in a flight's own.
async fn crowd(handle: &Handle<usize, usize, Hasher>, sheet: &Arc<Sheet>, sums: &Arc<Sums>) {
    let key = sheet.next.fetch_add(1, Ordering::SeqCst) % KEYS;
    let caller = task::id();
    let ask = || {
        let (sheet, sums) = (Arc::clone(sheet), Arc::clone(sums));
        handle.join(key, move || async move {
            let tally = &sheet.keys[key];
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
    sheet.keys[key].callers.fetch_add(CROWD, Ordering::SeqCst);
    sums.callers.fetch_add(CROWD, Ordering::SeqCst);
    for answer in join_all((0..CROWD).map(|_| ask())).await {
        if !answer.is_ok_and(|answer| answer == key) {
            sums.wrong.fetch_add(1, Ordering::SeqCst);
        }
    }
}
