//! The source of the server's pages.

use axum::body::Bytes;
use reqwest::StatusCode;

use crate::{failure::Failure, pool::Pool};

#[derive(Clone, Debug)]
pub(crate) enum Source {
    Database(Pool),
    Upstream { client: reqwest::Client, posts: String },
}

impl Source {
    /// Loads the page.
    pub(crate) async fn load(&self, post: u32) -> Result<Bytes, Failure> {
        match self {
            Self::Database(pool) => pool.page(post).await,
            Self::Upstream { client, posts } => {
                fetch(client, &format!("{posts}/{post}")).await.unwrap_or_else(|error| {
                    // `Display` omits the cause.
                    Err(Failure::Upstream(format!("{error:?}")))
                })
            }
        }
    }

    /// Edits the post. Returns the number of its new edition.
    pub(crate) async fn edit(&self, post: u32) -> Result<u64, Failure> {
        match self {
            Self::Database(pool) => pool.edit(post).await,
            Self::Upstream { .. } => Err(Failure::Upstream("it is for reading".to_string())),
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
