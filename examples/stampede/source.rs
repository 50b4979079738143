//! The source of the server's pages.

use std::sync::Arc;

use axum::body::Bytes;
use reqwest::StatusCode;

use crate::{cache::Cache, failure::Failure, pool::Pool};

#[derive(Clone, Debug)]
pub(crate) enum Source {
    Database(Pool),
    Cached { cache: Arc<Cache>, pool: Pool },
    Upstream { client: reqwest::Client, posts: String },
}

impl Source {
    /// The page, if it is cached.
    pub(crate) fn cached(&self, post: u32) -> Option<Bytes> {
        match self {
            Self::Cached { cache, .. } => cache.get(post),
            Self::Database(_) | Self::Upstream { .. } => None,
        }
    }

    /// Loads the page.
    pub(crate) async fn load(&self, post: u32) -> Result<Bytes, Failure> {
        match self {
            Self::Database(pool) => pool.page(post).await,
            Self::Cached { cache, pool } => {
                let page = pool.page(post).await?;
                cache.put(post, page.clone());
                Ok(page)
            }
            Self::Upstream { client, posts } => {
                fetch(client, &format!("{posts}/{post}")).await.unwrap_or_else(|error| {
                    // `Display` omits the cause.
                    Err(Failure::Upstream(format!("{error:?}")))
                })
            }
        }
    }
}

async fn fetch(client: &reqwest::Client, url: &str) -> reqwest::Result<Result<Bytes, Failure>> {
    let response = client.get(url).send().await?;
    match response.status() {
        StatusCode::OK => Ok(Ok(response.bytes().await?)),
        StatusCode::TOO_MANY_REQUESTS => Ok(Err(Failure::RateLimited)),
        status => Ok(Err(Failure::Upstream(format!("{status}: {}", response.text().await?)))),
    }
}
