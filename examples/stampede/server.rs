//! The server. To add coalescing or a cache, a real one would change its handlers only.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    routing::get,
};
use shardflight::{
    Coalescer, Handle, Stats,
    cache::{Cache, CacheHandle, CacheStats},
};

use crate::{Fallible, arm::Arm, failure::Failure, gauge::Gauge, listening::Listening, source::Source};

/// Short, so that a scenario sees some expiries.
const TIME_TO_LIVE: Duration = Duration::from_millis(200);

#[derive(Clone, Debug)]
struct App {
    arm: Arm,
    source: Source,
    handle: Handle<u32, Result<Bytes, Failure>>,
    pages: CacheHandle<u32, Bytes, Failure>,
    requests: Gauge,
}

async fn post(State(app): State<App>, Path(post): Path<u32>) -> Result<Bytes, Failure> {
    // Dropped with this future when the client disconnects.
    let entry = app.requests.enter();
    let page = app.page(post).await;
    entry.complete();
    page
}

async fn edit(State(app): State<App>, Path(post): Path<u32>) -> Result<String, Failure> {
    let edition = app.source.edit(post).await?;
    app.invalidate(post).await?;
    Ok(edition.to_string())
}

impl App {
    async fn page(&self, post: u32) -> Result<Bytes, Failure> {
        let source = self.source.clone();
        let load = move || async move { source.load(post).await };
        match self.arm {
            Arm::Direct => load().await,
            Arm::Coalesced => Ok(self.handle.try_join(post, load).await?),
            Arm::Cached => Ok(self.pages.get(post, load).await?),
        }
    }

    /// After a write: no request that begins from here on gets anything older.
    async fn invalidate(&self, post: u32) -> Result<(), Failure> {
        match self.arm {
            Arm::Direct => {}
            Arm::Coalesced => drop(self.handle.forget(post).await?),
            Arm::Cached => self.pages.invalidate(post).await,
        }
        Ok(())
    }
}

/// A running server. Each arm of each scenario has its own, with counts of its own.
#[derive(Debug)]
pub(crate) struct Server {
    listening: Listening,
    arm: Arm,
    handle: Handle<u32, Result<Bytes, Failure>>,
    cache: Cache<u32, Bytes, Failure>,
    requests: Gauge,
}

impl Server {
    pub(crate) async fn start(arm: Arm, source: Source) -> Fallible<Self> {
        let handle = Coalescer::new().handle();
        // An expired page is served while one request has it loaded in the background.
        let cache = Cache::builder().ttl(TIME_TO_LIVE).stale_while_revalidate(Duration::from_mins(1)).build()?;
        let requests = Gauge::default();
        let app = App { arm, source, handle: handle.clone(), pages: cache.handle(), requests: requests.clone() };
        let router = Router::new()
            .route("/posts/{post}", get(post).post(edit))
            .route("/health", get(async || "healthy"))
            .with_state(app);
        Ok(Self { listening: Listening::start(router).await?, arm, handle, cache, requests })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    pub(crate) fn requests(&self) -> &Gauge {
        &self.requests
    }

    /// Puts a page into the cache, if this arm has one.
    pub(crate) async fn fill(&self, post: u32, page: Bytes) {
        self.cache.handle().insert(post, page).await;
    }

    /// Of the flights: of the cache's loads, if it has one.
    pub(crate) async fn stats(&self) -> Fallible<Stats> {
        Ok(match self.arm {
            Arm::Direct | Arm::Coalesced => self.handle.stats().await?,
            Arm::Cached => self.cache.coalescer().handle().stats().await?,
        })
    }

    pub(crate) fn cache_stats(&self) -> CacheStats {
        self.cache.handle().stats()
    }

    pub(crate) async fn stop(self) -> Fallible<()> {
        self.listening.stop().await
    }
}
