//! Clients that hang up.

use std::future::pending;

use axum::{Router, routing::get};
use shardflight::{Coalescer, OnAbandon};

use crate::support::{Count, Site, Stage, Version, eventually, fetch, limited};

#[tokio::test]
async fn a_client_that_disconnects_harms_nobody() {
    limited(async {
        for version in Version::BOTH {
            let stage = Stage::new();
            let site = Site::open(stage.router(|call| format!("call {call}"))).await;
            let visit = || {
                let (client, url) = (version.client(), site.url("/post"));
                tokio::spawn(async move { fetch(&client, &url).await })
            };
            let leader = visit();
            stage.until(|stats| stats.waiters == 1).await;
            let followers: Vec<_> = (0..10).map(|_| visit()).collect();
            stage.until(|stats| stats.waiters == 11).await;

            leader.abort();
            stage.until(|stats| stats.waiters == 10).await;
            stage.gate.open();
            for follower in followers {
                assert_eq!(follower.await.unwrap().1, "call 1", "{version:?}");
            }
            assert_eq!(stage.calls.get(), 1, "{version:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn followers_of_a_leader_that_left_still_call_for_themselves_where_they_have_to() {
    limited(async {
        let stage = Stage::new();
        let site = Site::open(stage.router(|call| ([("cache-control", "private")], format!("call {call}")))).await;
        let visit = || {
            let (client, url) = (Version::One.client(), site.url("/post"));
            tokio::spawn(async move { fetch(&client, &url).await.1 })
        };
        let leader = visit();
        stage.until(|stats| stats.waiters == 1).await;
        let followers = [visit(), visit()];
        stage.until(|stats| stats.waiters == 3).await;
        leader.abort();
        stage.until(|stats| stats.waiters == 2).await;
        stage.gate.open();
        let mut seen = Vec::new();
        for follower in followers {
            seen.push(follower.await.unwrap());
        }
        seen.sort();
        assert_eq!(seen, ["call 2", "call 3"]);
    })
    .await;
}

/// Counts when the call it is in is dropped.
struct Dropped(Count);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.up();
    }
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_dropped_if_the_coalescer_says_so() {
    limited(async {
        for version in Version::BOTH {
            let stage = Stage::on(Coalescer::builder().on_abandon(OnAbandon::Abort), |layer| layer);
            let drops = Count::default();
            let at_work = drops.clone();
            let handler = async move || {
                let _dropped = Dropped(at_work.clone());
                pending::<&str>().await
            };
            let site = Site::open(Router::new().route("/a", get(handler)).layer(stage.layer.clone())).await;
            let (client, url) = (version.client(), site.url("/a"));
            let visit = tokio::spawn(async move { fetch(&client, &url).await });
            stage.until(|stats| stats.waiters == 1).await;
            visit.abort();
            eventually(|| drops.get() == 1).await;
        }
    })
    .await;
}
