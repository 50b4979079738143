//! The server. To add coalescing, a real one would change its handler only.

use std::net::SocketAddr;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    routing::get,
};
use shardflight::{Coalescer, Handle, Stats};

use crate::{Fallible, arm::Arm, failure::Failure, gauge::Gauge, listening::Listening, source::Source};

#[derive(Clone, Debug)]
struct App {
    arm: Arm,
    source: Source,
    handle: Handle<u32, Result<Bytes, Failure>>,
    requests: Gauge,
}

async fn post(State(app): State<App>, Path(post): Path<u32>) -> Result<Bytes, Failure> {
    // Dropped with this future when the client disconnects.
    let entry = app.requests.enter();
    let page = app.page(post).await;
    entry.complete();
    page
}

impl App {
    async fn page(&self, post: u32) -> Result<Bytes, Failure> {
        if let Some(page) = self.source.cached(post) {
            return Ok(page);
        }
        match self.arm {
            Arm::Direct => self.source.load(post).await,
            Arm::Coalesced => {
                let source = self.source.clone();
                let work = move || async move {
                    // An earlier flight may have filled the cache since the check above.
                    if let Some(page) = source.cached(post) {
                        return Ok(page);
                    }
                    source.load(post).await
                };
                Ok(self.handle.try_join(post, work).await?)
            }
        }
    }
}

/// A running server. Each arm of each scenario has its own, with counts of its own.
#[derive(Debug)]
pub(crate) struct Server {
    listening: Listening,
    handle: Handle<u32, Result<Bytes, Failure>>,
    requests: Gauge,
}

impl Server {
    pub(crate) async fn start(arm: Arm, source: Source) -> Fallible<Self> {
        let handle = Coalescer::new().handle();
        let requests = Gauge::default();
        let app = App { arm, source, handle: handle.clone(), requests: requests.clone() };
        let router =
            Router::new().route("/posts/{post}", get(post)).route("/health", get(async || "healthy")).with_state(app);
        Ok(Self { listening: Listening::start(router).await?, handle, requests })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    pub(crate) fn requests(&self) -> &Gauge {
        &self.requests
    }

    pub(crate) async fn stats(&self) -> Fallible<Stats> {
        Ok(self.handle.stats().await?)
    }

    pub(crate) async fn stop(self) -> Fallible<()> {
        self.listening.stop().await
    }
}
