//! Servers and clients, beside the fixtures that all tests share.

#[path = "../behaviour/support.rs"]
#[expect(dead_code, reason = "the behaviour tests need more of it")]
mod fixtures;

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
pub(crate) use self::fixtures::{Count, Gate, eventually, limited, watched};

/// A layer under test, what it joins through, and a handler that is held back and counted.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) layer: CoalesceLayer,
    pub(crate) handle: Handle<Key, Answer>,
    pub(crate) gate: Gate,
    pub(crate) calls: Count,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(|layer| layer)
    }

    pub(crate) fn with(choose: impl FnOnce(CoalesceLayerBuilder) -> CoalesceLayerBuilder) -> Self {
        Self::on(Coalescer::builder(), choose)
    }

    pub(crate) fn on(
        coalescer: Builder<Key, Answer>,
        choose: impl FnOnce(CoalesceLayerBuilder) -> CoalesceLayerBuilder,
    ) -> Self {
        let handle = coalescer.build().expect("inside a runtime").handle();
        let layer = choose(CoalesceLayer::builder().handle(handle.clone())).build();
        Self { layer, handle, gate: Gate::new(), calls: Count::default() }
    }

    /// Answers at every path with what `respond` makes of the number of the call, once the gate is open.
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

    /// Sends all requests, opens the gate when they are under way, and gives the responses in the requests' order. With
    /// `waiters` of them in flights, the others have to have been called for.
    pub(crate) async fn play(
        &self,
        router: &Router,
        requests: impl IntoIterator<Item = Request<Body>>,
        waiters: usize,
    ) -> Vec<Response<Bytes>> {
        let visits: Vec<_> = requests.into_iter().map(|request| tokio::spawn(visit(router, request))).collect();
        let passing = visits.len() - waiters;
        let flights = self.until(|stats| stats.waiters == waiters).await.flights;
        eventually(|| self.calls.get() >= passing + flights).await;
        self.gate.open();
        join_all(visits).await.into_iter().map(|visit| visit.expect("no visit panics")).collect()
    }

    pub(crate) fn passes(&self, reason: Reason) -> u64 {
        self.layer.passes().of(reason)
    }

    /// Waits until the statistics say so, and returns them.
    pub(crate) async fn until(&self, condition: impl Fn(&Stats) -> bool) -> Stats {
        fixtures::until(&self.handle, condition).await
    }
}

/// One request straight to the router, with the whole of its response.
pub(crate) fn visit(router: &Router, request: Request<Body>) -> impl Future<Output = Response<Bytes>> + Send + use<> {
    let response = tower::ServiceExt::oneshot(router.clone(), request);
    async move {
        let (parts, body) = response.await.unwrap_or_else(|error| match error {}).into_parts();
        Response::from_parts(parts, body.collect().await.expect("a body without errors").to_bytes())
    }
}

/// A GET with these headers.
pub(crate) fn ask(path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    request.body(Body::empty()).expect("a valid request")
}

/// The bodies that [`visit`] has read, as text.
pub(crate) fn texts(responses: &[Response<Bytes>]) -> Vec<&str> {
    responses.iter().map(|response| std::str::from_utf8(response.body()).expect("text")).collect()
}

/// A router behind a real socket, gone when this goes.
#[derive(Debug)]
pub(crate) struct Site {
    address: String,
    serving: JoinHandle<()>,
}

impl Site {
    pub(crate) async fn open(router: Router) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("a bound port"));
        let serving = tokio::spawn(async { axum::serve(listener, router).await.expect("a server") });
        Self { address, serving }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }
}

impl Drop for Site {
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

/// All that a body from the layer yields.
pub(crate) async fn read<B>(response: Response<CoalescedBody<B>>) -> Bytes
where
    CoalescedBody<B>: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    response.into_body().collect().await.expect("a body without errors").to_bytes()
}
