//! What viewers cost.

use std::time::Duration;

use axum::body::Body;
use futures::{FutureExt, future::join_all};
use http::{Request, StatusCode};
use shardflight::dashboard::Dashboard;
use tokio::{runtime::Handle, task::yield_now, time::sleep};

use crate::{
    support::limited,
    viewer::{Viewer, page_of, pass, send, snapshot, users},
};

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

#[tokio::test(start_paused = true)]
async fn without_a_viewer_nothing_is_read() {
    limited(async {
        let users = users();
        yield_now().await;
        let before = tasks();
        let page = page_of(&users);
        sleep(Duration::from_secs(10)).await;
        assert_eq!(tasks(), before, "no viewer, no task");
        let mut viewer = Viewer::open(&page).await;
        assert_eq!([&viewer.next().await["frame"], &viewer.next().await["frame"]], [1, 2]);
        assert_eq!(tasks(), before + 1);
        drop(viewer);
        pass(600).await;
        assert_eq!(tasks(), before, "the last viewer has left");
        assert_eq!(snapshot(&page).await["frame"], 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn many_viewers_share_one_snapshot_per_tick() {
    limited(async {
        let users = users();
        let dashboard = Dashboard::builder().coalescer("users", &users.handle()).max_viewers(100).build().unwrap();
        let page = dashboard.router();
        let mut viewers = join_all((0..100).map(|_| Viewer::open(&page))).await;
        for frame in 1..=5 {
            for shown in join_all(viewers.iter_mut().map(Viewer::next)).await {
                assert_eq!(shown["frame"], frame);
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn requests_for_snapshots_share_them_too() {
    limited(async {
        let users = users();
        let page = page_of(&users);
        let all = join_all((0..20).map(|_| snapshot(&page))).await;
        assert!(all.iter().all(|shown| shown["frame"] == 1), "{all:?}");
        assert_eq!(snapshot(&page).await["frame"], 1, "within the tick");
        sleep(Duration::from_millis(1_100)).await;
        assert_eq!(snapshot(&page).await["frame"], 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_viewer_gets_the_newest_snapshot_and_none_before() {
    limited(async {
        let users = users();
        let page = page_of(&users);
        let mut slow = Viewer::open(&page).await;
        assert_eq!(slow.next().await["frame"], 1);
        let mut quick = Viewer::open(&page).await;
        for _ in 1..=50 {
            quick.next().await;
        }
        assert_eq!(slow.next().await["frame"], 50);
        assert!(slow.raw().now_or_never().is_none(), "one is kept");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_viewer_too_many_is_refused() {
    limited(async {
        let users = users();
        let dashboard = Dashboard::builder().coalescer("users", &users.handle()).max_viewers(2).build().unwrap();
        let page = dashboard.router();
        let viewers = [Viewer::open(&page).await, Viewer::open(&page).await];
        let open = || Request::get("/events").body(Body::empty()).unwrap();
        let refused = send(&page, open()).await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()["retry-after"], "5");
        drop(viewers);
        assert_eq!(Viewer::open(&page).await.next().await["frame"], 1, "their places are free");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_is_kept_open_by_comments() {
    limited(async {
        let users = users();
        let minute = Duration::from_mins(1);
        let dashboard = Dashboard::builder().coalescer("users", &users.handle()).every(minute).build().unwrap();
        let mut viewer = Viewer::open(&dashboard.router()).await;
        viewer.next().await;
        assert_eq!(viewer.raw().await.unwrap(), ": keep-alive\n\n");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_past_is_recorded_without_viewers_if_asked_for() {
    limited(async {
        let users = users();
        yield_now().await;
        let before = tasks();
        let dashboard = Dashboard::builder().coalescer("users", &users.handle()).record_always().build().unwrap();
        let page = dashboard.router();
        drop(dashboard);
        sleep(Duration::from_millis(9_500)).await;
        let shown = snapshot(&page).await;
        assert_eq!(shown["coalescers"][0]["past"]["flights"].as_array().unwrap().len(), 10);
        drop(page);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(tasks(), before, "it ends with its routes");
    })
    .await;
}
