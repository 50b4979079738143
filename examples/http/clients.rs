//! The clients, and checks of what they get.

use std::{collections::HashSet, net::SocketAddr};

use futures::{StreamExt, stream};
use reqwest::{Client, RequestBuilder, header};

use crate::{
    Fallible,
    site::{FILM_PIECE, FILM_PIECES, Site},
};

/// A server's limit of concurrent requests per HTTP/2 connection; further requests would wait in the client.
const STREAMS_PER_CONNECTION: usize = 100;

/// Fewer clients, as films take memory.
const FILMS: usize = 10;

struct Clients {
    /// One connection each.
    connections: Vec<Client>,
    site: SocketAddr,
}

impl Clients {
    fn get(&self, index: usize, path: &str) -> RequestBuilder {
        self.connections[index % self.connections.len()].get(format!("http://{}{path}", self.site))
    }

    /// Runs one client's requests for each of `count` clients concurrently.
    async fn each<T>(&self, count: usize, one: impl AsyncFn(usize) -> Fallible<T>) -> Fallible<Vec<T>> {
        let requests = (0..count).map(|index| one(index));
        stream::iter(requests).buffer_unordered(count).collect::<Vec<_>>().await.into_iter().collect()
    }

    async fn read(&self, index: usize, path: &str, user: Option<&str>) -> Fallible<String> {
        let request =
            user.into_iter().fold(self.get(index, path), |request, user| request.header(header::AUTHORIZATION, user));
        Ok(request.send().await?.error_for_status()?.text().await?)
    }
}

fn user(index: usize) -> &'static str {
    ["alice", "bob"][index % 2]
}

fn expect(expected: &str, answer: &str) -> Fallible<()> {
    if answer == expected { Ok(()) } else { Err(format!("the response is {answer:?} instead of {expected:?}").into()) }
}

/// Fails if a shareable page wasn't shared, or if another page was.
fn check(site: &Site) -> Fallible<()> {
    for (page, is_shared) in
        [("/posts/{post}", true), ("/account", true), ("/film", true), ("/me", false), ("/login", false)]
    {
        let count = site.count(page);
        if (count.calls < count.requests) != is_shared {
            return Err(format!("{page} had {} calls for {} requests", count.calls, count.requests).into());
        }
    }
    Ok(())
}

pub(crate) async fn run(site: &Site, address: SocketAddr, count: u64) -> Fallible<()> {
    let count = usize::try_from(count)?;
    let connect = || Client::builder().http2_prior_knowledge().no_proxy().build();
    let connections = count.div_ceil(STREAMS_PER_CONNECTION);
    let clients =
        Clients { connections: (0..connections).map(|_| connect()).collect::<Result<_, _>>()?, site: address };

    clients.each(count, async |index| expect("post 7\n", &clients.read(index, "/posts/7", None).await?)).await?;
    for (path, words) in [("/me", "you are"), ("/account", "the account of")] {
        let own = async |index| {
            expect(&format!("{words} {}\n", user(index)), &clients.read(index, path, Some(user(index))).await?)
        };
        clients.each(count, own).await?;
    }
    let log_in = async |index| {
        let response = clients.get(index, "/login").send().await?.error_for_status()?;
        Ok(response.headers().get(header::SET_COOKIE).cloned())
    };
    let sessions: HashSet<_> = clients.each(count, log_in).await?.into_iter().collect();
    if sessions.len() != count || sessions.contains(&None) {
        return Err(format!("{count} clients got {} sessions", sessions.len()).into());
    }
    let download = async |index| {
        let film = clients.get(index, "/film").send().await?.error_for_status()?.bytes().await?;
        if film == FILM_PIECE.repeat(FILM_PIECES) { Ok(()) } else { Err("the film is incomplete or damaged".into()) }
    };
    clients.each(FILMS.min(count), download).await?;

    print!("{}", site.report());
    check(site)
}
