//! Servers and clients, and the fixtures that all tests share.

#[path = "../behaviour/support.rs"]
#[expect(dead_code, reason = "the behaviour tests need more of it")]
mod fixtures;

#[path = "../behaviour/events.rs"]
#[expect(dead_code, reason = "the behaviour tests need more of it")]
pub(crate) mod events;

use axum::{Router, body::Body, response::IntoResponse, routing::get};
use bytes::Bytes;
use futures::future::join_all;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use reqwest::Client;
use shardflight::{
    Builder, Coalescer, Handle, Stats,
    tower::{Answer, CoalesceLayer, CoalesceLayerBuilder, CoalescedBody, Key, Reason},
};
use tokio::{net::TcpListener, task::JoinHandle};

use self::fixtures::LIMIT;
pub(crate) use self::fixtures::{
    Count, Gate, eventually, in_a_child_process, limited, panic_quietly, two_workers, until, watched,
};

/// A layer under test, its coalescer's handle, and the gate and the count of its handler.
#[derive(Clone, Debug)]
pub(crate) struct Fixture {
    pub(crate) layer: CoalesceLayer,
    pub(crate) handle: Handle<Key, Answer>,
    pub(crate) gate: Gate,
    pub(crate) calls: Count,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(|layer| layer)
    }

    pub(crate) fn with(configure: impl FnOnce(CoalesceLayerBuilder) -> CoalesceLayerBuilder) -> Self {
        Self::on(Coalescer::builder(), configure)
    }

    pub(crate) fn on(
        coalescer: Builder<Key, Answer>,
        configure: impl FnOnce(CoalesceLayerBuilder) -> CoalesceLayerBuilder,
    ) -> Self {
        let handle = coalescer.build().expect("inside a runtime").handle();
        let layer = configure(CoalesceLayer::builder().handle(handle.clone())).build();
        Self { layer, handle, gate: Gate::new(), calls: Count::default() }
    }

    /// A router whose handler counts a call, waits for the gate, and responds with `respond` of the call's number.
    pub(crate) fn router<R: IntoResponse>(
        &self,
        respond: impl Fn(usize) -> R + Clone + Send + Sync + 'static,
    ) -> Router {
        let Self { gate, calls, .. } = self.clone();
        let handler = async move || {
            let call = calls.up();
            gate.pass().await;
            respond(call)
        };
        Router::new().route("/{*path}", get(handler)).layer(self.layer.clone())
    }

    /// Sends all requests, opens the gate when they are under way, and returns the responses in the requests' order. `waiters` of
    /// them must wait in flights, and the others must have called the handler.
    pub(crate) async fn send_all(
        &self,
        router: &Router,
        requests: impl IntoIterator<Item = Request<Body>>,
        waiters: usize,
    ) -> Vec<Response<Bytes>> {
        let tasks: Vec<_> = requests.into_iter().map(|request| tokio::spawn(send(router, request))).collect();
        let passing = tasks.len() - waiters;
        let flights = self.until(|stats| stats.waiters == waiters).await.flights;
        eventually(|| self.calls.get() >= passing + flights).await;
        self.gate.open();
        join_all(tasks).await.into_iter().map(|task| task.expect("no task panics")).collect()
    }

    pub(crate) fn passes(&self, reason: Reason) -> u64 {
        self.layer.passes().of(reason)
    }

    /// Waits until the statistics meet the condition, and returns them.
    pub(crate) async fn until(&self, condition: impl Fn(&Stats) -> bool) -> Stats {
        until(&self.handle, condition).await
    }
}

/// Sends a request to the router without a socket, and reads the whole response.
pub(crate) fn send(router: &Router, request: Request<Body>) -> impl Future<Output = Response<Bytes>> + Send + use<> {
    let response = tower::ServiceExt::oneshot(router.clone(), request);
    async move {
        let (parts, body) = response.await.unwrap_or_else(|error| match error {}).into_parts();
        Response::from_parts(parts, body.collect().await.expect("a body without errors").to_bytes())
    }
}

/// A GET with these headers.
pub(crate) fn get_request(path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    request.body(Body::empty()).expect("a valid request")
}

/// The bodies that [`send`] read, as text.
pub(crate) fn texts(responses: &[Response<Bytes>]) -> Vec<&str> {
    responses.iter().map(|response| std::str::from_utf8(response.body()).expect("text")).collect()
}

/// A router behind a real socket. Stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: String,
    serving: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(router: Router) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("a bound port"));
        let serving = tokio::spawn(async { axum::serve(listener, router).await.expect("a server") });
        Self { address, serving }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Version {
    One,
    Two,
}

impl Version {
    pub(crate) const BOTH: [Self; 2] = [Self::One, Self::Two];

    /// A client with connections of its own.
    pub(crate) fn client(self) -> Client {
        let builder = Client::builder().no_proxy().timeout(LIMIT);
        match self {
            Self::One => builder.http1_only(),
            Self::Two => builder.http2_prior_knowledge(),
        }
        .build()
        .expect("a client without TLS")
    }
}

pub(crate) async fn fetch(client: &Client, url: &str) -> (StatusCode, Bytes) {
    let response = client.get(url).send().await.expect("a response");
    (response.status(), response.bytes().await.expect("a body"))
}

/// Reads a body of the layer to its end.
pub(crate) async fn read<B>(response: Response<CoalescedBody<B>>) -> Bytes
where
    CoalescedBody<B>: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    response.into_body().collect().await.expect("a body without errors").to_bytes()
}
