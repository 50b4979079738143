//! Inner services that aren't always ready, or whose errors aren't `Clone`.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    io,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::future::join_all;
use http::{Request, Response, header};
use http_body_util::{Empty, Full};
use shardflight::tower::SharedError;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::support::{Fixture, eventually, limited, read};

/// Panics if it is called before it was ready. Clones start unready.
#[derive(Debug, Default)]
struct Strict {
    is_ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<Request<Empty<Bytes>>> for Strict {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if !self.is_ready {
            self.is_ready = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Empty<Bytes>>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called unready");
        let is_private = request.uri().path() == "/private";
        let response = Response::builder().header(header::CACHE_CONTROL, if is_private { "private" } else { "public" });
        ready(Ok(response.body(Full::from("text")).unwrap()))
    }
}

#[tokio::test]
async fn calls_wait_for_readiness() {
    limited(async {
        let fixture = Fixture::new();
        let service = fixture.layer.layer(Strict::default());
        for path in ["/shared", "/private"] {
            let tasks = (0..5).map(|_| service.clone().oneshot(Request::get(path).body(Empty::new()).unwrap()));
            for response in join_all(tasks).await {
                assert_eq!(read(response.unwrap()).await, "text", "{path}");
            }
        }
        let request = Request::post("/shared").body(Empty::new()).unwrap();
        assert_eq!(read(service.oneshot(request).await.unwrap()).await, "text");
    })
    .await;
}

#[tokio::test]
async fn an_inner_limit_bounds_calls_only() {
    limited(async {
        let fixture = Fixture::new();
        let Fixture { gate, calls, .. } = fixture.clone();
        let service = ServiceBuilder::new().layer(fixture.layer.clone()).concurrency_limit(1).service_fn(
            move |_: Request<Empty<Bytes>>| {
                let (gate, calls) = (gate.clone(), calls.clone());
                async move {
                    calls.up();
                    gate.pass().await;
                    Ok::<_, Infallible>(Response::new(Full::from("text")))
                }
            },
        );
        let send = || tokio::spawn(service.clone().oneshot(Request::get("/").body(Empty::<Bytes>::new()).unwrap()));
        let mut tasks = vec![send()];
        // Wait until the one call that the limit allows is under way.
        eventually(|| fixture.calls.get() == 1).await;
        tasks.extend((1..10).map(|_| send()));
        fixture.until(|stats| stats.waiters == 10).await;
        fixture.gate.open();
        for task in tasks {
            assert_eq!(read(task.await.unwrap().unwrap()).await, "text");
        }
        assert_eq!(fixture.calls.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_error_is_shared_and_not_remembered() {
    limited(async {
        let fixture = Fixture::new();
        let Fixture { gate, calls, .. } = fixture.clone();
        let service = fixture.layer.layer(service_fn(move |_: Request<Empty<Bytes>>| {
            let (gate, calls) = (gate.clone(), calls.clone());
            async move {
                gate.pass().await;
                match calls.up() {
                    1 => Err(io::Error::new(io::ErrorKind::ConnectionRefused, "no server is there")),
                    _ => Ok(Response::new(Full::<Bytes>::from("text"))),
                }
            }
        }));
        let send = || tokio::spawn(service.clone().oneshot(Request::get("/").body(Empty::<Bytes>::new()).unwrap()));
        let tasks = [send(), send()];
        fixture.until(|stats| stats.waiters == 2).await;
        fixture.gate.open();
        for task in tasks {
            let error: SharedError<io::Error> = task.await.unwrap().unwrap_err();
            assert_eq!(error.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::ConnectionRefused);
            assert_eq!(error.to_string(), "no server is there");
        }
        assert_eq!(fixture.calls.get(), 1);
        assert_eq!(read(send().await.unwrap().unwrap()).await, "text");
    })
    .await;
}
