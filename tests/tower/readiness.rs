//! A service below that isn't always ready, and whose errors aren't `Clone`.

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

use crate::support::{Stage, eventually, limited, read};

/// Panics where it is called without having been asked whether it is ready; and its clones are not.
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
async fn the_service_below_is_ready_before_each_call() {
    limited(async {
        let stage = Stage::new();
        let service = stage.layer.layer(Strict::default());
        for path in ["/shared", "/private"] {
            let visits = (0..5).map(|_| service.clone().oneshot(Request::get(path).body(Empty::new()).unwrap()));
            for response in join_all(visits).await {
                assert_eq!(read(response.unwrap()).await, "text", "{path}");
            }
        }
        let request = Request::post("/shared").body(Empty::new()).unwrap();
        assert_eq!(read(service.oneshot(request).await.unwrap()).await, "text");
    })
    .await;
}

#[tokio::test]
async fn a_limit_below_bounds_calls_and_not_callers() {
    limited(async {
        let stage = Stage::new();
        let Stage { gate, calls, .. } = stage.clone();
        let service = ServiceBuilder::new().layer(stage.layer.clone()).concurrency_limit(1).service_fn(
            move |_: Request<Empty<Bytes>>| {
                let (gate, calls) = (gate.clone(), calls.clone());
                async move {
                    calls.up();
                    gate.pass().await;
                    Ok::<_, Infallible>(Response::new(Full::from("text")))
                }
            },
        );
        let visit = || tokio::spawn(service.clone().oneshot(Request::get("/").body(Empty::<Bytes>::new()).unwrap()));
        let mut visits = vec![visit()];
        // The one call that the limit allows is under way before the others come.
        eventually(|| stage.calls.get() == 1).await;
        visits.extend((1..10).map(|_| visit()));
        stage.until(|stats| stats.waiters == 10).await;
        stage.gate.open();
        for visit in visits {
            assert_eq!(read(visit.await.unwrap().unwrap()).await, "text");
        }
        assert_eq!(stage.calls.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_error_is_shared_by_all_and_remembered_by_none() {
    limited(async {
        let stage = Stage::new();
        let Stage { gate, calls, .. } = stage.clone();
        let service = stage.layer.layer(service_fn(move |_: Request<Empty<Bytes>>| {
            let (gate, calls) = (gate.clone(), calls.clone());
            async move {
                gate.pass().await;
                match calls.up() {
                    1 => Err(io::Error::new(io::ErrorKind::ConnectionRefused, "nobody is there")),
                    _ => Ok(Response::new(Full::<Bytes>::from("text"))),
                }
            }
        }));
        let visit = || tokio::spawn(service.clone().oneshot(Request::get("/").body(Empty::<Bytes>::new()).unwrap()));
        let visits = [visit(), visit()];
        stage.until(|stats| stats.waiters == 2).await;
        stage.gate.open();
        for visit in visits {
            let error: SharedError<io::Error> = visit.await.unwrap().unwrap_err();
            assert_eq!(error.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::ConnectionRefused);
            assert_eq!(error.to_string(), "nobody is there");
        }
        assert_eq!(stage.calls.get(), 1);
        assert_eq!(read(visit().await.unwrap().unwrap()).await, "text");
    })
    .await;
}
