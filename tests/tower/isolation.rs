//! No client gets a response that is specific to another.

use axum::{Router, extract::Path, routing::get};
use fastrand::Rng;
use futures::{StreamExt, stream};
use http::{HeaderMap, header};
use reqwest::Client;
use shardflight::tower::Reason;
use tokio::task::yield_now;

use crate::support::{Fixture, Server, Version, limited};

const REQUESTS: usize = 10_000;
const UNDER_WAY: usize = 64;

fn text_of(headers: &HeaderMap, name: header::HeaderName) -> String {
    headers.get(name).map_or("anonymous", |value| value.to_str().expect("text")).to_string()
}

/// Names the client, after yielding so that other requests arrive meanwhile.
async fn page(Path(page): Path<u32>, headers: HeaderMap) -> String {
    for _ in 0..20 {
        yield_now().await;
    }
    page_for(page, &text_of(&headers, header::AUTHORIZATION), &text_of(&headers, header::COOKIE))
}

fn page_for(page: u32, token: &str, cookie: &str) -> String {
    format!("page {page} for {token}, {cookie}")
}

/// Sends a random request of one of two users or of an anonymous one. Returns whether the response is its own.
async fn is_answered_correctly(client: &Client, server: &Server, mut rng: Rng) -> bool {
    let number = rng.u32(..3);
    let half = rng.choice(["plain", "principals"]).expect("some");
    let token = rng.choice(["alice", "bob", "anonymous"]).expect("some");
    let cookie = rng.choice(["session=1", "session=2", "anonymous"]).expect("some");
    let mut request = client.get(server.url(&format!("/{half}/{number}")));
    for (name, value) in [(header::AUTHORIZATION, token), (header::COOKIE, cookie)] {
        if value != "anonymous" {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await.expect("a response").text().await.expect("a body");
    answer == page_for(number, token, cookie)
}

fn credentials(parts: &http::request::Parts) -> String {
    let [token, cookie] = [header::AUTHORIZATION, header::COOKIE].map(|name| text_of(&parts.headers, name));
    format!("{token}\n{cookie}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_requests_get_their_own_responses() {
    limited(async {
        let fixtures = [Fixture::new(), Fixture::with(|layer| layer.principal(|parts| Some(credentials(parts))))];
        let [plain, principals] = fixtures.each_ref().map(|fixture| get(page).layer(fixture.layer.clone()));
        let router = Router::new().route("/plain/{page}", plain).route("/principals/{page}", principals);
        let server = Server::start(router).await;
        let clients = Version::BOTH.map(Version::client);
        let requests = (0..REQUESTS)
            .map(|index| is_answered_correctly(&clients[index % clients.len()], &server, Rng::with_seed(index as u64)));
        let answers: Vec<bool> = stream::iter(requests).buffer_unordered(UNDER_WAY).collect().await;
        assert_eq!(answers.iter().filter(|right| !**right).count(), 0);

        let mut joins = 0;
        for fixture in &fixtures {
            let stats = fixture.handle.stats().await.unwrap();
            assert!(stats.coalesced > 0, "the load coalesced nothing: {stats:?}");
            joins += stats.joins;
        }
        assert_eq!(joins + fixtures[0].passes(Reason::Credentials), REQUESTS as u64);
        assert_eq!(fixtures[1].layer.passes().total(), 0);
    })
    .await;
}
