//! Executions that have a limit (`max_executions`), and flights that wait for one to end.

mod again;
mod ends;
mod nested;
mod order;
mod overload;

use std::{
    mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::future::{BoxFuture, FutureExt};
use shardflight::{Builder, Coalescer, Handle, JoinError};

use crate::support::{Gate, settle, until};

/// All work here is of one type, as each is compiled with all that runs it.
type Work = Box<dyn FnOnce() -> BoxFuture<'static, u8> + Send>;

/// A coalescer whose work tells when it begins.
#[derive(Clone)]
struct Site {
    handle: Handle<u8, u8>,
    begun: Arc<Mutex<Vec<u8>>>,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Site {
    fn new(limit: usize, configure: impl FnOnce(Builder<u8, u8>) -> Builder<u8, u8>) -> Self {
        let builder = configure(Coalescer::builder().shards(2).max_executions(limit));
        let handle = builder.build().expect("inside a runtime").handle();
        Self { handle, begun: Arc::default(), running: Arc::default(), most: Arc::default() }
    }

    /// One execution at a time, and one that has it, until the gate is open.
    async fn occupied(configure: impl FnOnce(Builder<u8, u8>) -> Builder<u8, u8>) -> (Self, Gate) {
        let (site, gate) = (Self::new(1, configure), Gate::new());
        drop(tokio::spawn(site.join(0, &gate)));
        until(&site.handle, |stats| stats.executions == 1).await;
        assert_eq!(site.begun().await, [0]);
        (site, gate)
    }

    /// Counts as running for as long as what comes back.
    fn begin(&self, key: u8) -> impl Send + use<> {
        self.begun.lock().unwrap().push(key);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        Running(Arc::clone(&self.running))
    }

    /// Work that ends when the gate is open.
    fn work(&self, key: u8, gate: &Gate) -> Work {
        let passed = gate.pass();
        self.doing(key, move || passed.map(move |()| key).boxed())
    }

    fn doing(&self, key: u8, work: impl FnOnce() -> BoxFuture<'static, u8> + Send + 'static) -> Work {
        let site = self.clone();
        Box::new(move || {
            let running = site.begin(key);
            work().inspect(move |_| drop(running)).boxed()
        })
    }

    fn join(&self, key: u8, gate: &Gate) -> BoxFuture<'static, Result<u8, JoinError>> {
        join_by(&self.handle, key, self.work(key, gate))
    }

    /// The keys whose work has begun since the last look.
    async fn begun(&self) -> Vec<u8> {
        settle().await;
        mem::take(&mut self.begun.lock().unwrap())
    }
}

fn join_by(handle: &Handle<u8, u8>, key: u8, work: Work) -> BoxFuture<'static, Result<u8, JoinError>> {
    handle.join(key, work).boxed()
}

/// A gate that is open.
fn open() -> Gate {
    let gate = Gate::new();
    gate.open();
    gate
}
