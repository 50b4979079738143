//! The server under stampede. The handler is all that a real one would have to change.

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
    // Dropped when the client hangs up, as all of this future is.
    let visit = app.requests.enter();
    let page = app.page(post).await;
    visit.complete();
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
                    // A flight may have filled the cache between the look above and this flight's start.
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

/// A running server. Each arm of each scenario gets one of its own, and so counts that are its own.
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
            Router::new().route("/posts/{post}", get(post)).route("/health", get(async || "well")).with_state(app);
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
