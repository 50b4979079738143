//! The service. Without the layers, it would be an ordinary axum service.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::stream;
use http::{HeaderMap, header};
use shardflight::tower::CoalesceLayer;
use tokio::time::sleep;

use crate::counts::{self, Count};

pub(crate) const FILM_PIECES: usize = 64;
pub(crate) const FILM_PIECE: &[u8] = &[b'f'; 64 * 1024];

#[derive(Clone, Debug)]
pub(crate) struct Site {
    counts: Arc<Mutex<BTreeMap<&'static str, Count>>>,
    /// Without principals, so requests with credentials pass through.
    layer: CoalesceLayer,
    /// With the token as the principal.
    account_layer: CoalesceLayer,
}

impl Site {
    pub(crate) fn new() -> Self {
        let account_layer =
            CoalesceLayer::builder().principal(|parts| parts.headers.get(header::AUTHORIZATION).cloned()).build();
        Self { counts: Arc::default(), layer: CoalesceLayer::new(), account_layer }
    }

    pub(crate) fn router(&self) -> Router {
        let public = Router::new()
            .route("/posts/{post}", get(post))
            .route("/me", get(me))
            .route("/login", get(login))
            .route("/film", get(film))
            .layer(self.layer.clone());
        let accounts = Router::new().route("/account", get(account)).layer(self.account_layer.clone());
        public
            .merge(accounts)
            .layer(middleware::from_fn_with_state(self.clone(), count_request))
            .route("/counts", get(counts))
            .with_state(self.clone())
    }

    pub(crate) fn report(&self) -> String {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let layers = [self.layer.clone(), self.account_layer.clone()];
        format!("{}\npassed through: {}\n", counts::table(counts), counts::pass_through(&layers))
    }

    pub(crate) fn count(&self, page: &'static str) -> Count {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).get(page).copied().unwrap_or_default()
    }

    fn update(&self, page: &'static str, what: impl FnOnce(&mut Count)) {
        what(self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(page).or_default());
    }

    fn count_call(&self, page: &'static str) {
        self.update(page, |count| count.calls += 1);
    }
}

fn page_of(path: &str) -> &'static str {
    match path {
        "/me" => "/me",
        "/login" => "/login",
        "/film" => "/film",
        "/account" => "/account",
        _ => "/posts/{post}",
    }
}

/// Above the layers, where it sees all requests.
async fn count_request(State(site): State<Site>, request: Request, next: Next) -> Response {
    site.update(page_of(request.uri().path()), |count| count.requests += 1);
    next.run(request).await
}

/// Stands in for a slow database.
async fn query() {
    sleep(Duration::from_millis(500)).await;
}

fn name(headers: &HeaderMap) -> &str {
    headers.get(header::AUTHORIZATION).and_then(|token| token.to_str().ok()).unwrap_or("anonymous")
}

async fn post(State(site): State<Site>, Path(post): Path<u32>) -> String {
    site.count_call("/posts/{post}");
    query().await;
    format!("post {post}\n")
}

async fn me(State(site): State<Site>, headers: HeaderMap) -> String {
    site.count_call("/me");
    query().await;
    format!("you are {}\n", name(&headers))
}

async fn account(State(site): State<Site>, headers: HeaderMap) -> String {
    site.count_call("/account");
    query().await;
    format!("the account of {}\n", name(&headers))
}

async fn login(State(site): State<Site>) -> impl IntoResponse {
    site.count_call("/login");
    query().await;
    ([(header::SET_COOKIE, format!("session={:016x}", fastrand::u64(..)))], "welcome\n")
}

async fn film(State(site): State<Site>) -> Body {
    site.count_call("/film");
    query().await;
    Body::from_stream(stream::iter((0..FILM_PIECES).map(|_| Ok::<_, io::Error>(Bytes::from_static(FILM_PIECE)))))
}

async fn counts(State(site): State<Site>) -> String {
    site.report()
}
