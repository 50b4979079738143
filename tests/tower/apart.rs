//! The event that names the header which kept two requests apart. Each test is a process of its own: whether an event is wanted
//! is remembered for the whole process.

use axum::{Router, body::Body};
use http::{Request, header};
use tokio::task::JoinHandle;
use tracing::subscriber::set_default;
use tracing_subscriber::{layer::SubscriberExt, registry};

use crate::support::{Fixture, events::Events, get_request, in_a_child_process, send};

const APART: &str = "header kept requests apart";

type Headers = &'static [(&'static str, &'static str)];

fn start(router: &Router, request: Request<Body>) -> JoinHandle<()> {
    let response = send(router, request);
    tokio::spawn(async move { drop(response.await) })
}

/// Sends requests one after the other, all under way at once. Returns the headers that the events name.
async fn apart(fixture: &Fixture, requests: impl IntoIterator<Item = Request<Body>>) -> Vec<String> {
    let events = Events::default();
    let _listening = set_default(registry().with(events.clone()));
    let router = fixture.router(|call| call.to_string());
    let mut tasks = Vec::new();
    for request in requests {
        tasks.push(start(&router, request));
        let sent = tasks.len();
        fixture.until(|stats| stats.waiters == sent).await;
    }
    fixture.gate.open();
    for task in tasks {
        task.await.unwrap();
    }
    events.of(APART).iter().map(|event| event["header"].clone()).collect()
}

#[test]
fn the_first_differing_header_is_named() {
    in_a_child_process("apart::the_first_differing_header_is_named", async || {
        let cases: [(Headers, Headers, &[&str]); 7] = [
            (&[], &[], &[]),
            (&[("x-a", "1")], &[("x-a", "1")], &[]),
            (&[("x-a", "1")], &[("x-a", "2")], &["x-a"]),
            (&[("x-a", "1"), ("x-c", "1")], &[("x-b", "1"), ("x-a", "1"), ("x-c", "1")], &["x-b"]),
            (&[("x-z", "1"), ("accept", "1")], &[("accept", "1")], &["x-z"]),
            (&[("x-z", "1"), ("x-a", "1")], &[("x-z", "2"), ("x-a", "2")], &["x-a"]),
            (&[("x-a", "1")], &[("x-a", "1"), ("x-a", "2"), ("user-agent", "3")], &["x-a"]),
        ];
        for (one, other, expected) in cases {
            let seen = apart(&Fixture::new(), [get_request("/a", one), get_request("/a", other)]).await;
            assert_eq!(seen, expected, "{one:?}, {other:?}");
        }
    });
}

#[test]
fn a_request_that_follows_another_is_not_apart() {
    in_a_child_process("apart::a_request_that_follows_another_is_not_apart", async || {
        let requests = ["1", "2", "1"].map(|value| get_request("/a", &[("x-a", value)]));
        assert_eq!(apart(&Fixture::new(), requests).await, ["x-a"]);
    });
}

#[test]
fn requests_that_differ_otherwise_are_not_compared() {
    in_a_child_process("apart::requests_that_differ_otherwise_are_not_compared", async || {
        let requests = ["/a", "/b", "/a?c"].map(|path| get_request(path, &[("x-a", path)]));
        assert_eq!(apart(&Fixture::new(), requests).await, [""; 0]);
        let by_token =
            || Fixture::with(|layer| layer.principal(|parts| parts.headers.get(header::AUTHORIZATION).cloned()));
        let requests = ["alice", "bob"].map(|token| get_request("/a", &[("authorization", token)]));
        assert_eq!(apart(&by_token(), requests).await, [""; 0]);
    });
}

#[test]
fn only_requests_under_way_are_compared() {
    in_a_child_process("apart::only_requests_under_way_are_compared", async || {
        let events = Events::default();
        let _listening = set_default(registry().with(events.clone()));
        let fixture = Fixture::new();
        let router = fixture.router(|call| call.to_string());
        fixture.gate.open();
        for value in ["1", "2"] {
            send(&router, get_request("/a", &[("x-a", value)])).await;
        }
        assert_eq!((fixture.calls.get(), events.of(APART).len()), (2, 0));
    });
}

#[test]
fn the_table_of_requests_is_bounded() {
    in_a_child_process("apart::the_table_of_requests_is_bounded", async || {
        let first = [get_request("/first", &[("x-a", "1")])];
        let others = (0..64).map(|number| get_request(&format!("/{number}"), &[]));
        let last = [get_request("/first", &[("x-a", "2")]), get_request("/63", &[("x-b", "1")])];
        // The first request is forgotten by then.
        assert_eq!(apart(&Fixture::new(), first.into_iter().chain(others).chain(last)).await, ["x-b"]);
    });
}

#[test]
fn no_event_shows_a_value() {
    in_a_child_process("apart::no_event_shows_a_value", async || {
        let events = Events::default();
        let _listening = set_default(registry().with(events.clone()));
        let fixture = Fixture::with(|layer| layer.vary([header::AUTHORIZATION]));
        let router = fixture.router(|call| call.to_string());
        let requests = ["secret-1", "secret-2"].map(|token| get_request("/a?secret-3", &[("authorization", token)]));
        fixture.send_all(&router, requests, 2).await;
        assert_eq!(events.of(APART).len(), 1);
        assert!(!format!("{:?}", events.all()).contains("secret"), "{:?}", events.all());
    });
}
