//! Outgoing requests with reqwest.

use axum::{Router, routing::get};
use http::{Request, Response};
use reqwest::Body;
use shardflight::tower::{CoalesceLayer, CoalescedBody, Reason, SharedError};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneService};

use crate::support::{Fixture, Server, Version, limited, read};

type Client = BoxCloneService<Request<Body>, Response<CoalescedBody<Body>>, SharedError<reqwest::Error>>;

fn client(version: Version, layer: &CoalesceLayer) -> Client {
    let client = version.client();
    let client = service_fn(move |request: Request<Body>| {
        let client = client.clone();
        async move { client.execute(request.try_into()?).await.map(Response::<Body>::from) }
    });
    BoxCloneService::new(layer.layer(client))
}

fn request(url: String) -> Request<Body> {
    Request::get(url).body(Body::default()).unwrap()
}

#[tokio::test]
async fn a_client_coalesces_requests() {
    limited(async {
        for version in Version::BOTH {
            let fixture = Fixture::new();
            let Fixture { gate, calls, .. } = fixture.clone();
            let handler = async move || {
                gate.pass().await;
                format!("call {}", calls.up())
            };
            // The server has no layer: the client coalesces.
            let server = Server::start(Router::new().route("/a", get(handler))).await;
            let client = client(version, &fixture.layer);
            let tasks: Vec<_> =
                (0..10).map(|_| tokio::spawn(client.clone().oneshot(request(server.url("/a"))))).collect();
            fixture.until(|stats| stats.waiters == 10).await;
            fixture.gate.open();
            for task in tasks {
                assert_eq!(read(task.await.unwrap().unwrap()).await, "call 1", "{version:?}");
            }
            assert_eq!(fixture.calls.get(), 1, "{version:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_shares_connection_errors() {
    limited(async {
        let fixture = Fixture::new();
        let client = client(Version::One, &fixture.layer);
        let closed = Server::start(Router::new()).await.url("/a");
        let error = client.oneshot(request(closed)).await.unwrap_err();
        assert!(error.downcast_ref::<reqwest::Error>().unwrap().is_connect(), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    })
    .await;
}

#[tokio::test]
async fn a_client_passes_bodies_and_credentials_through() {
    limited(async {
        let fixture = Fixture::new();
        let server = Server::start(Router::new().route("/a", get(async |body: String| body))).await;
        let client = client(Version::Two, &fixture.layer);
        let with_body = Request::get(server.url("/a")).body(Body::from("text")).unwrap();
        assert_eq!(read(client.clone().oneshot(with_body).await.unwrap()).await, "text");
        let mut with_token = request(server.url("/a"));
        with_token.headers_mut().insert("authorization", "a".parse().unwrap());
        client.oneshot(with_token).await.unwrap();
        assert_eq!((fixture.passes(Reason::RequestBody), fixture.passes(Reason::Credentials)), (1, 1));
    })
    .await;
}
