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
    page_for(page, &text_of(&headers, header::AUTHORIZATION), &text_of(&headers, header::COOKIE))
}

fn page_for(page: u32, token: &str, cookie: &str) -> String {
    format!("page {page} for {token}, {cookie}")
}

/// One random request of one of two users or of nobody, and whether its answer was its own.
async fn is_answered_rightly(client: &Client, site: &Site, mut rng: Rng) -> bool {
    let number = rng.u32(..3);
    let half = rng.choice(["plain", "principals"]).expect("some");
    let token = rng.choice(["alice", "bob", "nobody"]).expect("some");
    let cookie = rng.choice(["session=1", "session=2", "nobody"]).expect("some");
    let mut request = client.get(site.url(&format!("/{half}/{number}")));
    for (name, value) in [(header::AUTHORIZATION, token), (header::COOKIE, cookie)] {
        if value != "nobody" {
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
async fn ten_thousand_random_requests_of_two_users_never_cross() {
    limited(async {
        let stages = [Stage::new(), Stage::with(|layer| layer.principal(|parts| Some(credentials(parts))))];
        let [plain, principals] = stages.each_ref().map(|stage| get(page).layer(stage.layer.clone()));
        let router = Router::new().route("/plain/{page}", plain).route("/principals/{page}", principals);
        let site = Site::open(router).await;
        let clients = Version::BOTH.map(Version::client);
        let visits = (0..REQUESTS)
            .map(|visit| is_answered_rightly(&clients[visit % clients.len()], &site, Rng::with_seed(visit as u64)));
        let answers: Vec<bool> = stream::iter(visits).buffer_unordered(UNDER_WAY).collect().await;
        assert_eq!(answers.iter().filter(|right| !**right).count(), 0);

        let mut joins = 0;
        for stage in &stages {
            let stats = stage.handle.stats().await.unwrap();
            assert!(stats.coalesced > 0, "nothing was at stake: {stats:?}");
            joins += stats.joins;
        }
        assert_eq!(joins + stages[0].passes(Reason::Credentials), REQUESTS as u64);
        assert_eq!(stages[1].layer.passes().total(), 0);
    })
    .await;
}
