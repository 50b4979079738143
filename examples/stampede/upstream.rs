//! A service of a third party, which allows ten requests a second.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    routing::get,
};

use crate::{Fallible, bucket::TokenBucket, failure::Failure, listening::Listening, pool::Pool};

pub(crate) const RATE: u32 = 10;

#[derive(Clone, Debug)]
struct Limited {
    bucket: Arc<TokenBucket>,
    pool: Pool,
}

/// Starts the upstream on a port of its own.
pub(crate) async fn start(pool: Pool) -> Fallible<Listening> {
    let limited = Limited { bucket: Arc::new(TokenBucket::new(RATE)), pool };
    Listening::start(Router::new().route("/posts/{post}", get(answer)).with_state(limited)).await
}

async fn answer(State(limited): State<Limited>, Path(post): Path<u32>) -> Result<Bytes, Failure> {
    if !limited.bucket.take() {
        return Err(Failure::RateLimited);
    }
    limited.pool.page(post).await
}
