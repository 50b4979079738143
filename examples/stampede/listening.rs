//! A port that is served.

use std::{io, net::SocketAddr, time::Duration};

use axum::{Router, serve::ListenerExt};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};

use crate::Fallible;

const FAREWELL: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Listening {
    address: SocketAddr,
    closing: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl Listening {
    /// On loopback, on a port that is free.
    pub(crate) async fn start(router: Router) -> Fallible<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        // Otherwise answers wait for the acknowledgement of those before, which the clients' kernel delays by 40 ms.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let (closing, closed) = oneshot::channel();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async { drop(closed.await) });
        Ok(Self { address, closing, task: tokio::spawn(serving.into_future()) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gracefully, and an error if that takes too long.
    pub(crate) async fn stop(self) -> Fallible<()> {
        // It fails where the server has ended already, which the task tells better.
        let _ = self.closing.send(());
        let abort = self.task.abort_handle();
        if let Ok(ended) = timeout(FAREWELL, self.task).await {
            return Ok(ended??);
        }
        abort.abort();
        Err(format!("the server was still busy {FAREWELL:?} after it was told to stop").into())
    }
}
