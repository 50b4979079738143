//! A page outlives nothing, and nothing waits for it.

use std::{future::pending, time::Duration};

use axum::Router;
use shardflight::{Coalescer, JoinError, dashboard::Dashboard};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

use crate::{
    support::limited,
    viewer::{Viewer, page_of, snapshot, users},
};

#[tokio::test(start_paused = true)]
async fn a_page_keeps_no_coalescer_alive() {
    limited(async {
        let users = users();
        let page = page_of(&users);
        let handle = users.handle();
        let work = || async {
            let () = pending().await;
            7
        };
        let caller = tokio::spawn(async move { handle.join("a", work).await });
        let mut viewer = Viewer::open(&page).await;
        assert_eq!(viewer.next().await["last"], false);
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        drop(users);
        let last = viewer.next().await;
        assert_eq!((&last["last"], &last["coalescers"][0]["state"]), (&true.into(), &"stopped".into()));
        assert!(viewer.frame().await.is_none(), "the stream ends");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn streams_end_with_the_last_coalescer() {
    limited(async {
        let (users, orders) = (users(), users());
        let dashboard = Dashboard::builder()
            .coalescer("users", &users.handle())
            .coalescer("orders", &orders.handle())
            .build()
            .unwrap();
        let page = dashboard.router();
        let mut viewer = Viewer::open(&page).await;
        viewer.next().await;
        users.shutdown(Duration::ZERO).await;
        let shown = viewer.next().await;
        let states = [&shown["coalescers"][0]["state"], &shown["coalescers"][1]["state"]];
        assert_eq!((states, &shown["last"]), ([&"stopped".into(), &"live".into()], &false.into()));
        orders.shutdown(Duration::ZERO).await;
        assert_eq!(viewer.next().await["last"], true);
        assert!(viewer.frame().await.is_none());
        let mut late = Viewer::open(&page).await;
        assert_eq!(late.next().await["last"], true, "later viewers are told so, too");
        assert!(late.frame().await.is_none());
        assert_eq!(snapshot(&page).await["last"], true);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_signal_that_panics_ends_the_streams() {
    limited(async {
        let users = users();
        let dashboard = Dashboard::builder()
            .coalescer("users", &users.handle())
            .end_on(async { panic!("in the signal") })
            .build()
            .unwrap();
        let mut viewer = Viewer::open(&dashboard.router()).await;
        assert_eq!(viewer.next().await["last"], true);
        assert!(viewer.frame().await.is_none());
    })
    .await;
}

/// A real server with an open page.
struct Served {
    shut_down: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
    browser: TcpStream,
}

impl Served {
    async fn open(page: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shut_down, told) = oneshot::channel();
        let app = Router::new().nest_service("/flights", page);
        let serving = axum::serve(listener, app).with_graceful_shutdown(async move { drop(told.await) });
        let server = tokio::spawn(async move { serving.await });
        let mut browser = TcpStream::connect(address).await.unwrap();
        browser.write_all(b"GET /flights/events HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut head = [0; 1_000];
        assert!(browser.read(&mut head).await.unwrap() > 0);
        Self { shut_down, server, browser }
    }

    async fn shut_down(self) {
        self.shut_down.send(()).unwrap();
        self.server.await.unwrap().unwrap();
        drop(self.browser);
    }
}

#[tokio::test]
async fn a_graceful_shutdown_ends_where_the_coalescer_has_stopped() {
    limited(async {
        let users = users();
        let served = Served::open(page_of(&users)).await;
        users.shutdown(Duration::ZERO).await;
        served.shut_down().await;
        assert_eq!(users.handle().join("a", || async { 1 }).await, Err(JoinError::Closed));
    })
    .await;
}

#[tokio::test]
async fn a_graceful_shutdown_ends_by_the_signal_though_the_coalescer_goes_on() {
    limited(async {
        let users: Coalescer<String, u64> = users();
        let (end, ended) = oneshot::channel::<()>();
        let dashboard = Dashboard::builder()
            .coalescer("users", &users.handle())
            .end_on(async move { drop(ended.await) })
            .build()
            .unwrap();
        let mut served = Served::open(dashboard.router()).await;
        end.send(()).unwrap();
        let mut rest = Vec::new();
        while !rest.ends_with(b"0\r\n\r\n") {
            assert!(served.browser.read_buf(&mut rest).await.unwrap() > 0, "the connection ends before the response");
        }
        served.shut_down().await;
        assert_eq!(users.handle().join("a", || async { 1 }).await, Ok(1));
    })
    .await;
}
