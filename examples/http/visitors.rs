//! Crowds of clients, and what they have to find.

use std::{collections::HashSet, net::SocketAddr};

use futures::{StreamExt, stream};
use reqwest::{Client, RequestBuilder, header};

use crate::{
    Fallible,
    site::{FILM_PIECE, FILM_PIECES, Site},
};

/// What a server lets one HTTP/2 connection have under way; the requests beyond it would wait in the client.
const STREAMS_PER_CONNECTION: usize = 100;

/// Films take memory.
const FILMS: usize = 10;

struct Crowd {
    /// One connection each.
    clients: Vec<Client>,
    site: SocketAddr,
}

impl Crowd {
    fn get(&self, index: usize, path: &str) -> RequestBuilder {
        self.clients[index % self.clients.len()].get(format!("http://{}{path}", self.site))
    }

    /// All of a page's visitors at once, and what each of them makes of it.
    async fn visit<T>(&self, count: usize, one: impl AsyncFn(usize) -> Fallible<T>) -> Fallible<Vec<T>> {
        let visits = (0..count).map(|index| one(index));
        stream::iter(visits).buffer_unordered(count).collect::<Vec<_>>().await.into_iter().collect()
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
    if answer == expected { Ok(()) } else { Err(format!("{answer:?} was answered; it had to be {expected:?}").into()) }
}

/// Fails where the pages that may be shared weren't, or those that may not be were.
fn check(site: &Site) -> Fallible<()> {
    for (page, is_shared) in
        [("/posts/{post}", true), ("/account", true), ("/me", false), ("/login", false), ("/film", false)]
    {
        let count = site.count(page);
        if (count.calls < count.requests) != is_shared {
            return Err(format!("{page} had {} calls for {} requests", count.calls, count.requests).into());
        }
    }
    Ok(())
}

pub(crate) async fn come(site: &Site, address: SocketAddr, clients: u64) -> Fallible<()> {
    let count = usize::try_from(clients)?;
    let connect = || Client::builder().http2_prior_knowledge().no_proxy().build();
    let connections = count.div_ceil(STREAMS_PER_CONNECTION);
    let crowd = Crowd { clients: (0..connections).map(|_| connect()).collect::<Result<_, _>>()?, site: address };

    crowd.visit(count, async |index| expect("post 7\n", &crowd.read(index, "/posts/7", None).await?)).await?;
    for (path, words) in [("/me", "you are"), ("/account", "the account of")] {
        let own = async |index| {
            expect(&format!("{words} {}\n", user(index)), &crowd.read(index, path, Some(user(index))).await?)
        };
        crowd.visit(count, own).await?;
    }
    let log_in = async |index| {
        let response = crowd.get(index, "/login").send().await?.error_for_status()?;
        Ok(response.headers().get(header::SET_COOKIE).cloned())
    };
    let sessions: HashSet<_> = crowd.visit(count, log_in).await?.into_iter().collect();
    if sessions.len() != count || sessions.contains(&None) {
        return Err(format!("{count} visitors were given {} sessions", sessions.len()).into());
    }
    let watch = async |index| {
        let film = crowd.get(index, "/film").send().await?.error_for_status()?.bytes().await?;
        if film == FILM_PIECE.repeat(FILM_PIECES) { Ok(()) } else { Err("the film is torn".into()) }
    };
    crowd.visit(FILMS.min(count), watch).await?;

    print!("{}", site.report());
    check(site)
}
