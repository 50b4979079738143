//! A viewer without a browser.

use std::{pin::Pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
};
use futures::{Stream, StreamExt};
use http::{HeaderMap, Request, Response, StatusCode};
use serde_json::Value;
use shardflight::{Coalescer, Handle, dashboard::Dashboard};
use tokio::{sync::watch, task::JoinHandle, time::sleep};
use tower::ServiceExt;

use crate::support::until;

pub(crate) type Users = Coalescer<String, u64>;

pub(crate) fn users() -> Users {
    Coalescer::builder().shards(2).describe(String::clone).profile(8).build().expect("options make sense")
}

pub(crate) fn page_of(users: &Users) -> Router {
    let dashboard = Dashboard::builder().coalescer("users", &users.handle()).build();
    dashboard.expect("options make sense").router()
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Response<Body> {
    router.clone().oneshot(request).await.expect("routers don't fail")
}

pub(crate) async fn get(router: &Router, path: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    read(send(router, request).await).await
}

pub(crate) async fn read(response: Response<Body>) -> (StatusCode, HeaderMap, String) {
    let (head, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a short body");
    (head.status, head.headers, String::from_utf8(body.to_vec()).expect("UTF-8"))
}

pub(crate) async fn snapshot(router: &Router) -> Value {
    let (status, _, body) = get(router, "/snapshot.json").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

/// An open page.
pub(crate) struct Viewer(Pin<Box<dyn Stream<Item = Bytes> + Send>>);

impl Viewer {
    pub(crate) async fn open(router: &Router) -> Self {
        let response = send(router, Request::get("/events").body(Body::empty()).expect("a request")).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Self(Box::pin(response.into_body().into_data_stream().filter_map(async |bytes| bytes.ok())))
    }

    /// What is sent next, as it is; `None` at the end.
    pub(crate) async fn raw(&mut self) -> Option<Bytes> {
        self.0.next().await
    }

    /// The next frame; `None` at the end.
    pub(crate) async fn frame(&mut self) -> Option<Value> {
        for _ in 0..10 {
            let bytes = self.raw().await?;
            let text = std::str::from_utf8(&bytes).expect("UTF-8");
            if let Some(data) = text.strip_prefix("data: ") {
                assert!(data.ends_with("\n\n") && data.trim_end().lines().count() == 1, "no event: {data}");
                return Some(serde_json::from_str(data).expect("JSON"));
            }
            assert!(text.starts_with(": "), "neither an event nor a comment: {text}");
        }
        panic!("nothing but comments");
    }

    pub(crate) async fn next(&mut self) -> Value {
        self.frame().await.expect("the stream goes on")
    }
}

/// A flight that goes on until it is told to end.
pub(crate) struct Crowd {
    end: watch::Sender<bool>,
    callers: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// All callers have joined when it is there.
    pub(crate) async fn of(handle: &Handle<String, u64>, key: &str, callers: usize) -> Self {
        let (end, ended) = watch::channel(false);
        let before = handle.stats().await.expect("open").waiters;
        let work = Arc::new(ended);
        let call = |_| {
            let (handle, key, mut ended) = (handle.clone(), key.to_owned(), watch::Receiver::clone(&work));
            tokio::spawn(async move {
                let work = move || async move { ended.wait_for(|ended| *ended).await.map_or(0, |_| 7) };
                drop(handle.join(key, work).await);
            })
        };
        let callers: Vec<_> = (0..callers).map(call).collect();
        until(handle, |stats| stats.waiters >= before + callers.len()).await;
        Self { end, callers }
    }

    pub(crate) async fn end(self) {
        self.end.send_replace(true);
        for caller in self.callers {
            caller.await.expect("it ends");
        }
    }
}

/// Lets this long pass, in steps that the tests' limit allows.
pub(crate) async fn pass(seconds: u64) {
    for _ in 0..seconds {
        sleep(Duration::from_secs(1)).await;
    }
}
