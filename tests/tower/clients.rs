//! Outgoing requests, by reqwest.

use axum::{Router, routing::get};
use http::{Request, Response};
use reqwest::Body;
use shardflight::tower::{CoalesceLayer, CoalescedBody, Reason, SharedError};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneService};

use crate::support::{Site, Stage, Version, limited, read};

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
async fn a_client_asks_once_for_all_who_ask_it() {
    limited(async {
        for version in Version::BOTH {
            let stage = Stage::new();
            let Stage { gate, calls, .. } = stage.clone();
            let handler = async move || {
                gate.pass().await;
                format!("call {}", calls.up())
            };
            // The site is bare: it is the client that coalesces.
            let site = Site::open(Router::new().route("/a", get(handler))).await;
            let client = client(version, &stage.layer);
            let visits: Vec<_> =
                (0..10).map(|_| tokio::spawn(client.clone().oneshot(request(site.url("/a"))))).collect();
            stage.until(|stats| stats.waiters == 10).await;
            stage.gate.open();
            for visit in visits {
                assert_eq!(read(visit.await.unwrap().unwrap()).await, "call 1", "{version:?}");
            }
            assert_eq!(stage.calls.get(), 1, "{version:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_shares_what_it_could_not_reach() {
    limited(async {
        let stage = Stage::new();
        let client = client(Version::One, &stage.layer);
        let closed = Site::open(Router::new()).await.url("/a");
        let error = client.oneshot(request(closed)).await.unwrap_err();
        assert!(error.downcast_ref::<reqwest::Error>().unwrap().is_connect(), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    })
    .await;
}

#[tokio::test]
async fn a_client_sends_bodies_and_credentials_by_themselves() {
    limited(async {
        let stage = Stage::new();
        let site = Site::open(Router::new().route("/a", get(async |body: String| body))).await;
        let client = client(Version::Two, &stage.layer);
        let with_body = Request::get(site.url("/a")).body(Body::from("text")).unwrap();
        assert_eq!(read(client.clone().oneshot(with_body).await.unwrap()).await, "text");
        let mut with_token = request(site.url("/a"));
        with_token.headers_mut().insert("authorization", "a".parse().unwrap());
        client.oneshot(with_token).await.unwrap();
        assert_eq!((stage.passes(Reason::RequestBody), stage.passes(Reason::Credentials)), (1, 1));
    })
    .await;
}
