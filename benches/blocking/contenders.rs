//! Who takes part: `blocking_join`, and a map of condition variables written the obvious way.

use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex},
};

use shardflight::{Coalescer, Handle};
use tokio::runtime::Runtime;

const UNFAILING: &str = "nothing here fails";

/// Runs work for a key, and blocks the calling thread until the result is there.
pub(crate) trait Contender: Clone + Send + 'static {
    const NAME: &'static str;

    fn new(runtime: &Runtime) -> Self;

    fn call(&self, key: u64, work: impl FnOnce() -> u64 + Send + 'static) -> u64;
}

/// Work runs on the runtime's blocking pool.
#[derive(Clone)]
pub(crate) struct Shardflight(Handle<u64, u64>);

impl Contender for Shardflight {
    const NAME: &'static str = "shardflight";

    fn new(runtime: &Runtime) -> Self {
        let _inside = runtime.enter();
        Self(Coalescer::new().handle())
    }

    fn call(&self, key: u64, work: impl FnOnce() -> u64 + Send + 'static) -> u64 {
        self.0.blocking_join(key, work).expect(UNFAILING)
    }
}

type Entry = Arc<(Mutex<Option<u64>>, Condvar)>;

/// Work runs on the thread of the first caller. If it panics, the followers wait forever: the obvious way doesn't handle it.
#[derive(Clone)]
pub(crate) struct CondvarMap(Arc<Mutex<HashMap<u64, Entry>>>);

impl Contender for CondvarMap {
    const NAME: &'static str = "map of condvars";

    fn new(_: &Runtime) -> Self {
        Self(Arc::default())
    }

    fn call(&self, key: u64, work: impl FnOnce() -> u64 + Send + 'static) -> u64 {
        let mut map = self.0.lock().expect(UNFAILING);
        if let Some(entry) = map.get(&key) {
            let entry = Arc::clone(entry);
            drop(map);
            let (value, done) = &*entry;
            let value = done.wait_while(value.lock().expect(UNFAILING), |value| value.is_none()).expect(UNFAILING);
            return value.expect("it was waited for");
        }
        let entry = Entry::default();
        map.insert(key, Arc::clone(&entry));
        drop(map);
        let output = work();
        self.0.lock().expect(UNFAILING).remove(&key);
        let (value, done) = &*entry;
        *value.lock().expect(UNFAILING) = Some(output);
        done.notify_all();
        output
    }
}

/// The same with its work on the blocking pool, as ours has it: the leader waits for it there.
#[derive(Clone)]
pub(crate) struct PooledCondvarMap {
    map: CondvarMap,
    pool: tokio::runtime::Handle,
}

impl Contender for PooledCondvarMap {
    const NAME: &'static str = "map of condvars + spawn_blocking";

    fn new(runtime: &Runtime) -> Self {
        Self { map: CondvarMap::new(runtime), pool: runtime.handle().clone() }
    }

    fn call(&self, key: u64, work: impl FnOnce() -> u64 + Send + 'static) -> u64 {
        let pool = self.pool.clone();
        self.map.call(key, move || pool.block_on(pool.spawn_blocking(work)).expect(UNFAILING))
    }
}
