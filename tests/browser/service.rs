//! A server with a page, on a runtime of its own that can be ended from one moment to the next.

use std::{net::SocketAddr, sync::mpsc, time::Duration};

use axum::Router;
use shardflight::{
    Coalescer, Handle,
    dashboard::{Action, Dashboard},
};
use tokio::{net::TcpListener, runtime::Runtime};

pub(crate) const TICK: Duration = Duration::from_millis(100);

pub(crate) struct Service {
    runtime: Option<Runtime>,
    pub(crate) address: SocketAddr,
    pub(crate) users: Handle<String, u64>,
}

impl Service {
    /// On a free port.
    pub(crate) fn start() -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into())
    }

    pub(crate) fn start_at(address: SocketAddr) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let (started, listening) = mpsc::channel();
        runtime.spawn(async move {
            let users = Coalescer::builder().shards(2).describe(String::clone).profile(8).build().unwrap();
            let dashboard = Dashboard::builder().coalescer("users", &users.handle()).every(TICK);
            let dashboard = dashboard.allow_actions(Action::ALL.iter().copied()).build().unwrap();
            let listener = TcpListener::bind(address).await.unwrap();
            started.send((users.handle(), listener.local_addr().unwrap())).unwrap();
            axum::serve(listener, Router::new().nest_service("/flights", dashboard.router())).await.unwrap();
        });
        let (users, address) = listening.recv_timeout(Duration::from_secs(20)).expect("the service starts");
        Self { runtime: Some(runtime), address, users }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/flights", self.address)
    }

    /// Callers of a flight that never ends.
    pub(crate) fn hang(&self, key: &str, callers: usize) {
        for _ in 0..callers {
            let join = self.users.join(key, std::future::pending);
            self.runtime.as_ref().expect("it runs").spawn(join);
        }
    }
}

impl Drop for Service {
    /// Connections break, as when a process is killed.
    fn drop(&mut self) {
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}
