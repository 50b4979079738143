//! Batchers: ours, and two data loaders, as they come and without their windows.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_graphql::dataloader::{DataLoader, Loader};
use shardflight::batch::{Batch, Batcher};
use tokio::time::sleep;
use ultra_batch::{BatchFetcher, Cache, Fetcher};

const UNFAILING: &str = "nothing here fails";

/// Asked for many keys at once; the value of a key is the key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backend {
    pub(crate) takes: Option<Duration>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    batches: AtomicU64,
    keys: AtomicU64,
}

impl Backend {
    pub(crate) fn new(takes: Option<Duration>) -> Self {
        Self { takes, counts: Arc::default() }
    }

    pub(crate) async fn ask(&self, keys: &[u64]) {
        self.counts.batches.fetch_add(1, Ordering::Relaxed);
        self.counts.keys.fetch_add(keys.len() as u64, Ordering::Relaxed);
        if let Some(takes) = self.takes {
            sleep(takes).await;
        }
    }

    pub(crate) fn batches(&self) -> f64 {
        self.counts.batches.load(Ordering::Relaxed) as f64
    }

    pub(crate) fn keys(&self) -> f64 {
        self.counts.keys.load(Ordering::Relaxed) as f64
    }
}

pub(crate) trait Contender: Clone + Send + Sync + 'static {
    const NAME: &'static str;

    /// Inside a runtime.
    fn new(backend: Backend) -> Self;

    fn load(&self, key: u64) -> impl Future<Output = u64> + Send;

    /// The number of the answers.
    fn load_many(&self, keys: Vec<u64>) -> impl Future<Output = usize> + Send;
}

/// No batches at all.
#[derive(Clone)]
pub(crate) struct Bare(Backend);

impl Contender for Bare {
    const NAME: &'static str = "bare";

    fn new(backend: Backend) -> Self {
        Self(backend)
    }

    async fn load(&self, key: u64) -> u64 {
        self.0.ask(&[key]).await;
        key
    }

    async fn load_many(&self, keys: Vec<u64>) -> usize {
        self.0.ask(&keys).await;
        keys.len()
    }
}

#[derive(Clone)]
pub(crate) struct Shardflight(Batcher<u64, u64, Infallible>);

impl Contender for Shardflight {
    const NAME: &'static str = "shardflight";

    fn new(backend: Backend) -> Self {
        let builder = Batcher::builder(move |keys: Batch<u64, u64, Infallible>| {
            let backend = backend.clone();
            async move {
                backend.ask(keys.keys()).await;
                keys.keys().iter().for_each(|key| _ = keys.fulfil(key, Ok(*key)));
                Ok(())
            }
        });
        Self(builder.build().expect(UNFAILING))
    }

    async fn load(&self, key: u64) -> u64 {
        self.0.load(key).await.expect(UNFAILING).expect(UNFAILING)
    }

    async fn load_many(&self, keys: Vec<u64>) -> usize {
        self.0.load_many(keys).await.into_iter().flatten().count()
    }
}

impl Loader<u64> for Backend {
    type Value = u64;
    type Error = Infallible;

    async fn load(&self, keys: &[u64]) -> Result<HashMap<u64, u64>, Infallible> {
        self.ask(keys).await;
        Ok(keys.iter().map(|key| (*key, *key)).collect())
    }
}

/// With a window of so many milliseconds. Its own is 1.
#[derive(Clone)]
pub(crate) struct AsyncGraphql<const WINDOW: u64>(Arc<DataLoader<Backend>>);

impl<const WINDOW: u64> Contender for AsyncGraphql<WINDOW> {
    const NAME: &'static str = if WINDOW == 0 { "async-graphql, no window" } else { "async-graphql" };

    fn new(backend: Backend) -> Self {
        Self(Arc::new(DataLoader::new(backend, tokio::spawn).delay(Duration::from_millis(WINDOW))))
    }

    async fn load(&self, key: u64) -> u64 {
        self.0.load_one(key).await.expect(UNFAILING).expect(UNFAILING)
    }

    async fn load_many(&self, keys: Vec<u64>) -> usize {
        self.0.load_many(keys).await.expect(UNFAILING).len()
    }
}

impl Fetcher for Backend {
    type Key = u64;
    type Value = u64;
    type Error = Infallible;

    async fn fetch(&self, keys: &[u64], values: &mut Cache<'_, u64, u64>) -> Result<(), Infallible> {
        self.ask(keys).await;
        keys.iter().for_each(|key| values.insert(*key, *key));
        Ok(())
    }
}

/// With a window of so many milliseconds. Its own is 10.
#[derive(Clone)]
pub(crate) struct UltraBatch<const WINDOW: u64>(Arc<BatchFetcher<Backend>>);

impl<const WINDOW: u64> Contender for UltraBatch<WINDOW> {
    const NAME: &'static str = if WINDOW == 0 { "ultra-batch, no window" } else { "ultra-batch" };

    fn new(backend: Backend) -> Self {
        let window = Duration::from_millis(WINDOW);
        Self(Arc::new(BatchFetcher::build(backend).delay_duration(window).finish()))
    }

    async fn load(&self, key: u64) -> u64 {
        self.0.load(key).await.expect(UNFAILING)
    }

    async fn load_many(&self, keys: Vec<u64>) -> usize {
        self.0.load_many(&keys).await.expect(UNFAILING).len()
    }
}
