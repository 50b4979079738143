//! A running HTTP server.

use std::{io, net::SocketAddr, time::Duration};

use axum::{Router, serve::ListenerExt};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};

use crate::Fallible;

const STOP_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Listening {
    address: SocketAddr,
    closing: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl Listening {
    /// Serves on loopback, on a free port.
    pub(crate) async fn start(router: Router) -> Fallible<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        // Without it, responses wait for the acknowledgement of earlier ones, which the clients' kernel delays by 40 ms.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let (closing, closed) = oneshot::channel();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async { drop(closed.await) });
        Ok(Self { address, closing, task: tokio::spawn(serving.into_future()) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shuts down gracefully. Fails if that takes too long.
    pub(crate) async fn stop(self) -> Fallible<()> {
        // Fails if the server has already ended; the task's result has the reason.
        let _ = self.closing.send(());
        let abort = self.task.abort_handle();
        if let Ok(ended) = timeout(STOP_LIMIT, self.task).await {
            return Ok(ended??);
        }
        abort.abort();
        Err(format!("the server was still busy {STOP_LIMIT:?} after it was told to stop").into())
    }
}
