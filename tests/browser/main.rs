//! The live page in Chromium. `cargo test -p browser-tests -- --ignored --nocapture` takes pictures of it.

mod browser;
mod screenshots;
mod service;

use std::{convert::Infallible, future::Future, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    http::header,
    routing::get,
};
use serde_json::{Value, json};
use shardflight::{Coalescer, cache::Cache, dashboard::Dashboard, redis::Cluster};
use tokio::{net::TcpListener, time::timeout};

use self::{
    browser::Browser,
    service::{Service, TICK},
};

async fn limited(test: impl Future<Output = ()>) {
    timeout(Duration::from_mins(3), test).await.expect("the test hangs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_numbers_and_hostile_keys_as_text() {
    limited(async {
        let service = Service::start();
        let hostile = "<img src=x onerror='document.title=1'><script>document.title=1</script>";
        service.hang(hostile, 5);
        let browser = Browser::open(&service.url()).await;
        browser.until("document.querySelector('#oldest tbody th')").await;
        assert_eq!(browser.text("#oldest tbody th").await, hostile);
        assert_eq!(browser.run("return document.title").await, "shardflight");
        browser.until("document.querySelector('#state').innerText === 'live'").await;
        let tile = |number| format!("document.querySelectorAll('#tiles .value')[{number}].innerText");
        browser.until(&format!("{} === '1' && {} === '5'", tile(3), tile(4))).await;
        let stats = service.users.stats().await.unwrap();
        assert_eq!((stats.flights, stats.waiters), (1, 5));
        let complaints = browser.complaints().await;
        assert!(complaints.is_empty(), "{complaints:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_stale_and_connects_to_the_next_server() {
    limited(async {
        let service = Service::start();
        let browser = Browser::open(&format!("{}/", service.url())).await;
        browser.until("document.querySelector('#state').innerText === 'live'").await;
        let address = service.address;
        drop(service);
        browser.until("document.querySelector('#state').innerText.startsWith('stale')").await;
        let next = Service::start_at(address);
        next.hang("a", 3);
        browser.until("document.querySelector('#state').innerText === 'live'").await;
        browser.until("document.querySelector('#oldest tbody th')?.innerText === 'a'").await;
    })
    .await;
}

/// Serves one frame, and then nothing on a connection that stays open.
async fn frozen() -> (Coalescer<String, u64>, String) {
    let users = Coalescer::<String, u64>::new();
    let dashboard = Dashboard::builder().coalescer("users", &users.handle()).every(TICK).build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/flights", listener.local_addr().unwrap());
    let snapshot = format!("{url}/snapshot.json");
    let events = async move || {
        let frame = reqwest::get(snapshot).await.unwrap().text().await.unwrap();
        let first = Ok::<_, Infallible>(Bytes::from(format!("data: {frame}\n\n")));
        let stream = futures::StreamExt::chain(futures::stream::iter([first]), futures::stream::pending());
        ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(stream))
    };
    let app = Router::new().route("/flights/events", get(events)).nest_service("/flights", dashboard.router());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (users, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_stale_where_the_connection_seems_to_live() {
    limited(async {
        let (_users, url) = frozen().await;
        let browser = Browser::open(&url).await;
        browser.until("document.querySelector('#state').innerText.startsWith('stale')").await;
        assert_eq!(browser.run("return document.body.classList.contains('stale')").await, true);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_are_taken_after_a_question() {
    limited(async {
        let service = Service::start();
        service.hang("a", 2);
        let browser = Browser::open(&service.url()).await;
        browser.until("document.querySelector('#oldest tbody button')").await;
        browser.click_and_confirm("#oldest tbody button").await;
        while service.users.stats().await.unwrap().forgets == 0 {
            tokio::time::sleep(TICK).await;
        }
        browser.click_and_confirm("#switch").await;
        browser.until("document.querySelector('#mode').innerText.startsWith('switched off')").await;
        assert_eq!(service.users.join("b", || async { 1 }).await, Ok(1));
        assert_eq!(service.users.stats().await.unwrap().bypasses, 1);
        assert_eq!(browser.text("#notice").await, "");
    })
    .await;
}

async fn fits(browser: &Browser) {
    for width in [400, 800, 1_200] {
        browser.show_as(width, "light").await;
        let widths = browser.run("return [document.documentElement.scrollWidth, innerWidth]").await;
        assert_eq!(widths, json!([width, width]), "the page is wider than the window");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_used_by_keyboard_and_screen_reader_at_any_width() {
    limited(async {
        let cache = Cache::<String, u64, String>::builder().ttl(Duration::from_mins(1)).build().unwrap();
        let users = Coalescer::<String, u64>::new();
        let nowhere = Cluster::builder("redis://127.0.0.1:1").namespace("orders").build().unwrap();
        let orders = Coalescer::<String, u64>::builder().max_executions(1).build().unwrap().handle().across(nowhere);
        let dashboard = Dashboard::builder().coalescer("users", &users.handle()).cache("profiles", &cache.handle());
        let dashboard = dashboard.cluster("orders", &orders);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // The name of the one that is shown is in the address.
        let url = format!("http://{}/#profiles", listener.local_addr().unwrap());
        let app = dashboard.every(TICK).build().unwrap().router();
        tokio::spawn(async move { axum::serve(listener, app).await });
        let browser = Browser::open(&url).await;
        browser.until("document.querySelector('#tabs button')").await;
        fits(&browser).await;
        browser.run("document.querySelector('#tabs [aria-selected=true]').focus()").await;
        browser.press("\u{e014}").await; // right
        browser.until("document.activeElement.innerText === 'Cache' && !document.querySelector('#tab').hidden").await;
        browser.run("location.hash = 'orders'").await;
        for tab in ["Queue", "Cluster"] {
            let button =
                format!("[...document.querySelectorAll('#tabs button')].find((tab) => tab.innerText === '{tab}')");
            browser.until(&button).await;
            browser.run(&format!("{button}.click()")).await;
            browser.until(&format!("document.querySelector('#tab h3').innerText === '{tab}'")).await;
            fits(&browser).await;
        }
        let unlabelled = "return [...document.querySelectorAll('th:not([scope]), svg:not([aria-label]), button:empty, \
                          [role=tab]:not([aria-controls])')].map((found) => found.outerHTML)";
        assert_eq!(browser.run(unlabelled).await, Value::Array(Vec::new()));
        assert_eq!(browser.run("return document.querySelectorAll('[aria-live]').length").await, 3, "few are announced");
    })
    .await;
}
