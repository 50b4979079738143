//! Clients that disconnect.

use std::future::pending;

use axum::{Router, routing::get};
use shardflight::{Coalescer, OnAbandon, tower::CoalesceLayer};

use crate::support::{Count, Fixture, Server, Version, eventually, fetch, limited};

#[tokio::test]
async fn a_disconnect_affects_no_other_client() {
    limited(async {
        for version in Version::BOTH {
            let fixture = Fixture::new();
            let server = Server::start(fixture.router(|call| format!("call {call}"))).await;
            let send = || {
                let (client, url) = (version.client(), server.url("/post"));
                tokio::spawn(async move { fetch(&client, &url).await })
            };
            let leader = send();
            fixture.until(|stats| stats.waiters == 1).await;
            let followers: Vec<_> = (0..10).map(|_| send()).collect();
            fixture.until(|stats| stats.waiters == 11).await;

            leader.abort();
            fixture.until(|stats| stats.waiters == 10).await;
            fixture.gate.open();
            for follower in followers {
                assert_eq!(follower.await.unwrap().1, "call 1", "{version:?}");
            }
            assert_eq!(fixture.calls.get(), 1, "{version:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn followers_call_alone_after_the_leader_left() {
    limited(async {
        let fixture = Fixture::new();
        let server =
            Server::start(fixture.router(|call| ([("cache-control", "private")], format!("call {call}")))).await;
        let send = || {
            let (client, url) = (Version::One.client(), server.url("/post"));
            tokio::spawn(async move { fetch(&client, &url).await.1 })
        };
        let leader = send();
        fixture.until(|stats| stats.waiters == 1).await;
        let followers = [send(), send()];
        fixture.until(|stats| stats.waiters == 3).await;
        leader.abort();
        fixture.until(|stats| stats.waiters == 2).await;
        fixture.gate.open();
        let mut seen = Vec::new();
        for follower in followers {
            seen.push(follower.await.unwrap());
        }
        seen.sort();
        assert_eq!(seen, ["call 2", "call 3"]);
    })
    .await;
}

#[tokio::test]
async fn an_abandoned_call_is_aborted() {
    limited(async {
        for version in Version::BOTH {
            let fixture = Fixture::on(Coalescer::builder().on_abandon(OnAbandon::Abort), |layer| layer);
            let (begun, drops) = (Count::default(), Count::default());
            let counters = (begun.clone(), drops.clone());
            let handler = async move || {
                let _dropped = counters.1.on_drop();
                counters.0.up();
                pending::<&str>().await
            };
            let server = Server::start(Router::new().route("/a", get(handler)).layer(fixture.layer.clone())).await;
            let (client, url) = (version.client(), server.url("/a"));
            let task = tokio::spawn(async move { fetch(&client, &url).await });
            eventually(|| begun.get() == 1).await;
            task.abort();
            eventually(|| drops.get() == 1).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_layer_of_its_own_coalescer_drops_abandoned_calls() {
    limited(async {
        for version in Version::BOTH {
            let (begun, drops) = (Count::default(), Count::default());
            let counters = (begun.clone(), drops.clone());
            let handler = async move || {
                let _dropped = counters.1.on_drop();
                counters.0.up();
                pending::<&str>().await
            };
            let server = Server::start(Router::new().route("/a", get(handler)).layer(CoalesceLayer::new())).await;
            let (client, url) = (version.client(), server.url("/a"));
            let task = tokio::spawn(async move { fetch(&client, &url).await });
            eventually(|| begun.get() == 1).await;
            task.abort();
            eventually(|| drops.get() == 1).await;
        }
    })
    .await;
}
