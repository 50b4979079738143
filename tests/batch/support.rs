//! A batcher under test, and the backend that its loader asks.

#[path = "../behaviour/support.rs"]
#[expect(dead_code, reason = "the behaviour tests need more of it")]
mod fixtures;

use std::{
    hash::{Hash, Hasher},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use shardflight::{
    TryJoinError,
    batch::{Batch, Batcher, BatcherBuilder},
};

pub(crate) use self::fixtures::{Count, Gate, LIMIT, Wall, limited, panic_quietly, settle, two_workers};

/// Keys, values and errors are all of this type, so that there is one type of batcher to compile.
pub(crate) type Items = Batcher<Item, Item, Item>;
pub(crate) type ItemBatch = Batch<Item, Item, Item>;
pub(crate) type Loaded = Result<Option<Item>, TryJoinError<Item>>;
pub(crate) type Loading = Pin<Box<dyn Future<Output = Result<(), Item>> + Send>>;

/// Which function of an item panics, if armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trap {
    Hash,
    Eq,
    Clone,
    Drop,
}

#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: u64,
    trap: Option<(Trap, Arc<AtomicBool>)>,
}

impl Item {
    pub(crate) fn hostile(id: u64, trap: Trap, is_armed: &Arc<AtomicBool>) -> Self {
        Self { id, trap: Some((trap, Arc::clone(is_armed))) }
    }

    fn spring(&self, trap: Trap) {
        if self.trap.as_ref().is_some_and(|(kind, is_armed)| *kind == trap && is_armed.load(Ordering::SeqCst)) {
            panic_quietly("sprung");
        }
    }
}

impl From<u64> for Item {
    fn from(id: u64) -> Self {
        Self { id, trap: None }
    }
}

impl Clone for Item {
    fn clone(&self) -> Self {
        self.spring(Trap::Clone);
        Self { id: self.id, trap: self.trap.clone() }
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.spring(Trap::Eq);
        other.spring(Trap::Eq);
        self.id == other.id
    }
}

impl Eq for Item {}

impl Hash for Item {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.spring(Trap::Hash);
        self.id.hash(state);
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.spring(Trap::Drop);
    }
}

/// What the loader has been asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backend {
    batches: Arc<Mutex<Vec<Vec<u64>>>>,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

/// One call of the backend.
pub(crate) struct Call(Arc<AtomicUsize>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Backend {
    pub(crate) fn begin(&self, keys: &ItemBatch) -> Call {
        self.batches.lock().unwrap().push(keys.keys().iter().map(|key| key.id).collect());
        self.most.fetch_max(self.running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Call(Arc::clone(&self.running))
    }

    /// The keys of each batch.
    pub(crate) fn batches(&self) -> Vec<Vec<u64>> {
        self.batches.lock().unwrap().clone()
    }

    pub(crate) fn sizes(&self) -> Vec<usize> {
        self.batches().iter().map(Vec::len).collect()
    }

    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    /// How many calls ran at once.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// With a loader that calls the backend, and then does as it is told with the keys.
pub(crate) fn items<F>(
    backend: &Backend,
    configure: impl FnOnce(BatcherBuilder<Item, Item, Item>) -> BatcherBuilder<Item, Item, Item>,
    load: F,
) -> Items
where
    F: Fn(ItemBatch) -> Loading + Send + Sync + 'static,
{
    let backend = backend.clone();
    let builder = Items::builder(move |keys: ItemBatch| {
        let call = backend.begin(&keys);
        let loading = load(keys);
        async move {
            let _call = call;
            loading.await
        }
    });
    configure(builder).build().expect("the options make sense")
}

/// Flights without a deadline: a paused clock runs to the next timer where all tasks wait.
pub(crate) fn patient(builder: BatcherBuilder<Item, Item, Item>) -> BatcherBuilder<Item, Item, Item> {
    builder.coalescer(|coalescer| coalescer.shards(1).no_flight_deadline())
}

/// Each key's answer is ten times its number.
pub(crate) fn answer(keys: &ItemBatch) {
    for key in keys.keys() {
        assert!(keys.fulfil(key, Ok(Item::from(10 * key.id))), "each key waits for its answer");
    }
}

pub(crate) fn at_once(keys: ItemBatch) -> Loading {
    Box::pin(async move {
        answer(&keys);
        Ok(())
    })
}

/// Answers when the gate is open.
pub(crate) fn behind(gate: &Gate) -> impl Fn(ItemBatch) -> Loading + Send + Sync + 'static + use<> {
    let gate = gate.clone();
    move |keys| {
        let passed = gate.pass();
        Box::pin(async move {
            passed.await;
            answer(&keys);
            Ok(())
        })
    }
}

/// The number of the value that came.
pub(crate) fn id(loaded: &Loaded) -> Option<u64> {
    loaded.as_ref().expect("the load succeeds").as_ref().map(|item| item.id)
}

pub(crate) fn ids(loaded: &[Loaded]) -> Vec<Option<u64>> {
    loaded.iter().map(id).collect()
}
