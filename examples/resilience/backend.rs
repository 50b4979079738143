//! An HTTP server on loopback that fails as it is told to.
//!
//! Everything is bounded: a fault ends by itself after a number of requests or a time, and so does a request that hangs.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, timeout},
};

const CONNECTIONS_MAX: usize = 1_000;
const HEAD_MAX: usize = 8 * 1024;
/// From a connection's begin to its end.
const CONNECTION_LIMIT: Duration = Duration::from_secs(30);
const FAULT_LIMIT: Duration = Duration::from_secs(25);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Status 503.
    Error,
    /// Nothing, until the client gives up.
    Hang,
    /// The connection is reset in place of an answer.
    Reset,
}

/// A fault, and when it ends.
#[derive(Debug)]
struct Burst {
    fault: Fault,
    requests_left: usize,
    end: Instant,
}

#[derive(Debug)]
struct Shared {
    burst: Mutex<Option<Burst>>,
    is_held: watch::Sender<bool>,
    requests: AtomicUsize,
    current: AtomicUsize,
    peak: AtomicUsize,
}

#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    /// Aborted with the backend.
    _serving: JoinSet<()>,
}

impl Backend {
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            burst: Mutex::default(),
            is_held: watch::Sender::new(false),
            requests: AtomicUsize::new(0),
            current: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        });
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, _serving: serving })
    }

    /// Fails the next requests so, but no longer than [`FAULT_LIMIT`].
    pub(crate) fn fail(&self, fault: Fault, requests: usize) {
        *self.burst() = Some(Burst { fault, requests_left: requests, end: Instant::now() + FAULT_LIMIT });
    }

    pub(crate) fn recover(&self) {
        *self.burst() = None;
    }

    /// Withholds all answers until [`release`](Self::release).
    pub(crate) fn hold(&self) {
        self.shared.is_held.send_replace(true);
    }

    pub(crate) fn release(&self) {
        self.shared.is_held.send_replace(false);
    }

    /// Since [`reset_counts`](Self::reset_counts).
    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many requests are under way.
    pub(crate) fn current(&self) -> usize {
        self.shared.current.load(Ordering::SeqCst)
    }

    /// How many were under way at most.
    pub(crate) fn peak(&self) -> usize {
        self.shared.peak.load(Ordering::SeqCst)
    }

    pub(crate) fn reset_counts(&self) {
        self.shared.requests.store(0, Ordering::SeqCst);
        self.shared.peak.store(self.current(), Ordering::SeqCst);
    }

    fn burst(&self) -> std::sync::MutexGuard<'_, Option<Burst>> {
        self.shared.burst.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn next_fault(&self) -> Option<Fault> {
        let mut burst = self.burst.lock().unwrap_or_else(PoisonError::into_inner);
        let Burst { fault, requests_left, .. } =
            burst.as_mut().filter(|burst| burst.requests_left > 0 && Instant::now() < burst.end)?;
        *requests_left -= 1;
        Some(*fault)
    }
}

/// Counts a request as long as it is under way.
struct Visit(Arc<Shared>);

impl Visit {
    fn begin(shared: &Arc<Shared>) -> Self {
        shared.requests.fetch_add(1, Ordering::SeqCst);
        let current = shared.current.fetch_add(1, Ordering::SeqCst) + 1;
        shared.peak.fetch_max(current, Ordering::SeqCst);
        Self(Arc::clone(shared))
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.current.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((socket, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let _place = place;
            // A client that has gone is no error of the server's.
            let _ = timeout(CONNECTION_LIMIT, answer(socket, &shared)).await;
        });
    }
}

/// One request per connection.
async fn answer(mut socket: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEAD_MAX || socket.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let _visit = Visit::begin(shared);
    let fault = shared.next_fault();
    let mut is_held = shared.is_held.subscribe();
    let mut left = [0];
    // A client that gives up closes its connection, and then the request isn't under way any more.
    tokio::select! {
        _ = is_held.wait_for(|is_held| !is_held) => {}
        _ = socket.read(&mut left) => return Ok(()),
    }
    match fault {
        Some(Fault::Reset) => socket.set_zero_linger(),
        Some(Fault::Error) => respond(&mut socket, "503 Service Unavailable", "").await,
        Some(Fault::Hang) => socket.read(&mut left).await.map(drop),
        None => {
            let head = String::from_utf8_lossy(&head);
            let target = head.split(' ').nth(1).unwrap_or_default();
            respond(&mut socket, "200 OK", target).await
        }
    }
}

async fn respond(socket: &mut TcpStream, status: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let response = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    socket.write_all(response.as_bytes()).await?;
    socket.shutdown().await
}
