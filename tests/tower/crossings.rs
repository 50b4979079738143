//! Nobody gets what is another's.

use axum::{Router, extract::Path, routing::get};
use fastrand::Rng;
use futures::{StreamExt, stream};
use http::{HeaderMap, header};
use reqwest::Client;
use shardflight::tower::Reason;
use tokio::task::yield_now;

use crate::support::{Site, Stage, Version, limited};

const REQUESTS: usize = 10_000;
const UNDER_WAY: usize = 64;

fn text_of(headers: &HeaderMap, name: header::HeaderName) -> String {
    headers.get(name).map_or("nobody", |value| value.to_str().expect("text")).to_string()
}

/// Says whose request it was, after a while in which others come.
async fn page(Path(page): Path<u32>, headers: HeaderMap) -> String {
    for _ in 0..20 {
        yield_now().await;
    }
    let [token, cookie] = [header::AUTHORIZATION, header::COOKIE].map(|name| text_of(&headers, name));
    format!("page {page} for {token}, {cookie}")
}

/// One random request of one of two users or of nobody, and whether its answer was its own.
async fn is_answered_rightly(client: Client, site: &Site, mut rng: Rng) -> bool {
    let number = rng.u32(..3);
    let token = rng.choice(["alice", "bob", "nobody"]).expect("some");
    let cookie = rng.choice(["session=1", "session=2", "nobody"]).expect("some");
    let mut request = client.get(site.url(&format!("/pages/{number}")));
    for (name, value) in [(header::AUTHORIZATION, token), (header::COOKIE, cookie)] {
        if value != "nobody" {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await.expect("a response").text().await.expect("a body");
    answer == format!("page {number} for {token}, {cookie}")
}

/// How many of [`REQUESTS`] got another's answer, half of them over each version.
async fn crossings(stage: &Stage) -> usize {
    let site = Site::open(Router::new().route("/pages/{page}", get(page)).layer(stage.layer.clone())).await;
    let clients = Version::BOTH.map(Version::client);
    let visits = (0..REQUESTS)
        .map(|visit| is_answered_rightly(clients[visit % clients.len()].clone(), &site, Rng::with_seed(visit as u64)));
    let answers: Vec<bool> = stream::iter(visits).buffer_unordered(UNDER_WAY).collect().await;
    assert_eq!(answers.len(), REQUESTS);
    answers.into_iter().filter(|right| !right).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_of_two_users_never_cross() {
    limited(async {
        let stage = Stage::new();
        assert_eq!(crossings(&stage).await, 0);
        let stats = stage.handle.stats().await.unwrap();
        assert_eq!(stats.joins + stage.passes(Reason::Credentials), REQUESTS as u64);
        assert!(stats.coalesced > 0, "nothing was at stake: {stats:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_of_known_principals_never_cross() {
    limited(async {
        let principal = |parts: &http::request::Parts| {
            let [token, cookie] = [header::AUTHORIZATION, header::COOKIE].map(|name| text_of(&parts.headers, name));
            Some(format!("{token}\n{cookie}"))
        };
        let stage = Stage::with(|layer| layer.principal(principal));
        assert_eq!(crossings(&stage).await, 0);
        let stats = stage.handle.stats().await.unwrap();
        assert_eq!((stats.joins, stage.layer.passes().total()), (REQUESTS as u64, 0));
        assert!(stats.coalesced > 0, "nothing was at stake: {stats:?}");
    })
    .await;
}
