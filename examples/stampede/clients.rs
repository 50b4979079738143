//! The clients: many requests, few connections.

use std::net::SocketAddr;

use axum::body::Bytes;
use reqwest::{Client, StatusCode};

use crate::{Fallible, wait::WAIT_LIMIT};

/// The server's limit of concurrent requests per HTTP/2 connection; further requests would wait in the client.
const STREAMS_PER_CONNECTION: usize = 200;

#[derive(Debug)]
pub(crate) struct Clients {
    /// One connection each.
    connections: Vec<Client>,
    address: SocketAddr,
}

/// The outcome of one request.
#[derive(Debug)]
pub(crate) enum Answer {
    Right,
    /// 429.
    Refused,
    /// Right once, but an edit of it had been confirmed before the request began.
    Stale,
    Wrong(String),
}

/// A client for one HTTP/2 connection without TLS, which ignores proxies in the environment.
pub(crate) fn client() -> reqwest::Result<Client> {
    Client::builder().http2_prior_knowledge().no_proxy().timeout(WAIT_LIMIT).build()
}

impl Clients {
    /// Opens as many connections as `requests` concurrent requests need.
    pub(crate) async fn connect(address: SocketAddr, requests: usize) -> Fallible<Self> {
        let connections = requests.div_ceil(STREAMS_PER_CONNECTION);
        let connections = (0..connections).map(|_| client()).collect::<reqwest::Result<Vec<_>>>()?;
        for client in &connections {
            client.get(format!("http://{address}/health")).send().await?.error_for_status()?;
        }
        Ok(Self { connections, address })
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Request number `index`. Dropping the future resets the request's stream, as a browser does that disconnects.
    pub(crate) fn request(
        &self,
        index: usize,
        post: u32,
        expected: Bytes,
    ) -> impl Future<Output = Answer> + Send + use<> {
        self.read(index, post, move |page| {
            if page == expected { Answer::Right } else { Answer::Wrong(String::from_utf8_lossy(&page).into_owned()) }
        })
    }

    /// Request number `index`, whose page is judged.
    pub(crate) fn read<J>(&self, index: usize, post: u32, judge: J) -> impl Future<Output = Answer> + Send + use<J>
    where
        J: FnOnce(Bytes) -> Answer + Send,
    {
        let client = self.connections[index % self.connections.len()].clone();
        let url = self.url(post);
        async move {
            match fetch(&client, &url).await {
                Ok((StatusCode::OK, page)) => judge(page),
                Ok((StatusCode::TOO_MANY_REQUESTS, _)) => Answer::Refused,
                Ok((status, body)) => Answer::Wrong(format!("{status}: {}", String::from_utf8_lossy(&body))),
                // `Display` omits the cause.
                Err(error) => Answer::Wrong(format!("{error:?}")),
            }
        }
    }

    /// Edits the post, and returns the number of the new edition when the server has confirmed it.
    pub(crate) async fn edit(&self, post: u32) -> Fallible<u64> {
        let response = self.connections[0].post(self.url(post)).send().await?.error_for_status()?;
        Ok(response.text().await?.parse()?)
    }

    fn url(&self, post: u32) -> String {
        format!("http://{}/posts/{post}", self.address)
    }
}

async fn fetch(client: &Client, url: &str) -> reqwest::Result<(StatusCode, Bytes)> {
    let response = client.get(url).send().await?;
    Ok((response.status(), response.bytes().await?))
}
