//! The clients: many requests, few connections.

use std::net::SocketAddr;

use axum::body::Bytes;
use reqwest::{Client, StatusCode};

use crate::{Fallible, patience::PATIENCE};

/// What the server lets one HTTP/2 connection have under way; the requests beyond it would wait in the client.
const STREAMS_PER_CONNECTION: usize = 200;

#[derive(Debug)]
pub(crate) struct Crowd {
    /// One connection each.
    clients: Vec<Client>,
    address: SocketAddr,
}

/// What came of one request.
#[derive(Debug)]
pub(crate) enum Answer {
    Right,
    /// 429.
    Refused,
    Wrong(String),
}

/// A client for one HTTP/2 connection without TLS, and without a proxy that the environment may name.
pub(crate) fn client() -> reqwest::Result<Client> {
    Client::builder().http2_prior_knowledge().no_proxy().timeout(PATIENCE).build()
}

impl Crowd {
    /// As many connections as it takes to have all `requests` under way at once, each of them warm.
    pub(crate) async fn gather(address: SocketAddr, requests: usize) -> Fallible<Self> {
        let connections = requests.div_ceil(STREAMS_PER_CONNECTION);
        let clients = (0..connections).map(|_| client()).collect::<reqwest::Result<Vec<_>>>()?;
        for client in &clients {
            client.get(format!("http://{address}/health")).send().await?.error_for_status()?;
        }
        Ok(Self { clients, address })
    }

    pub(crate) fn connections(&self) -> usize {
        self.clients.len()
    }

    /// Request number `index`. Dropping the future resets the request's stream, which is how a browser hangs up.
    pub(crate) fn request(
        &self,
        index: usize,
        post: u32,
        expected: Bytes,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let client = self.clients[index % self.clients.len()].clone();
        let url = format!("http://{}/posts/{post}", self.address);
        async move {
            match fetch(&client, &url).await {
                Ok((StatusCode::OK, page)) if page == expected => Answer::Right,
                Ok((StatusCode::TOO_MANY_REQUESTS, _)) => Answer::Refused,
                Ok((status, body)) => Answer::Wrong(format!("{status}: {}", String::from_utf8_lossy(&body))),
                // `Display` alone says no more than that a request failed.
                Err(error) => Answer::Wrong(format!("{error:?}")),
            }
        }
    }
}

async fn fetch(client: &Client, url: &str) -> reqwest::Result<(StatusCode, Bytes)> {
    let response = client.get(url).send().await?;
    Ok((response.status(), response.bytes().await?))
}
