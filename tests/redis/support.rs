//! Nodes: clusters that are built in one process, each with a connection and an identity of its own, as processes have them.

#[path = "../behaviour/support.rs"]
#[expect(dead_code, reason = "the behaviour tests need more of it")]
mod fixtures;

use std::{
    pin::Pin,
    time::{Duration, Instant},
};

use shardflight::{
    Coalescer, Handle,
    redis::{Cluster, ClusterBuilder, ClusterHandle, Json},
};
use tokio::time::sleep;

pub(crate) use self::fixtures::{Count, Gate, LIMIT, Wall, in_a_child_process, limited, panic_quietly, watched};
use crate::server::Server;

pub(crate) type Users = ClusterHandle<String, String>;
pub(crate) type Doing<V> = Pin<Box<dyn Future<Output = V> + Send>>;

pub(crate) const LEASE: Duration = Duration::from_secs(1);
/// Where no test waits for its end.
pub(crate) const LONG_LEASE: Duration = Duration::from_secs(9);

/// Generous timeouts, so that a busy machine is no failing Redis.
pub(crate) fn builder(server: &Server) -> ClusterBuilder {
    Cluster::builder(server.url()).namespace("tests").lease(LONG_LEASE).op_timeout(LONG_LEASE / 3)
}

/// A process's worth: a coalescer and a cluster of their own.
pub(crate) fn node(server: &Server) -> Users {
    node_of(builder(server))
}

pub(crate) fn node_of(builder: ClusterBuilder<Json>) -> Users {
    coalescer().across(builder.build().expect("the options make sense"))
}

pub(crate) fn coalescer() -> Handle<String, String> {
    Coalescer::builder().shards(1).build().expect("inside a runtime").handle()
}

/// Counts the executions, and waits for the gate.
pub(crate) fn behind(
    gate: &Gate,
    runs: &Count,
    value: &str,
) -> impl FnOnce() -> Doing<String> + Send + 'static + use<> {
    let (passed, runs, value) = (gate.pass(), runs.clone(), value.to_owned());
    move || {
        runs.up();
        Box::pin(async move {
            passed.await;
            value
        })
    }
}

/// Counts, and returns at once.
pub(crate) fn at_once(runs: &Count, value: &str) -> impl FnOnce() -> Doing<String> + Send + 'static + use<> {
    let (runs, value) = (runs.clone(), value.to_owned());
    move || {
        runs.up();
        Box::pin(async move { value })
    }
}

/// Waits for another process or another thread, so by the clock.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// Until the server has so many waiting flights at the key's lease.
pub(crate) async fn until_followed(server: &Server, flights: usize) {
    until("flights follow", || server.followers() == flights).await;
}

/// Joins until it has led once more: connecting, or an ask, may take longer than a short `op_timeout`.
pub(crate) async fn until_led(node: &Users) {
    let (before, deadline) = (node.cluster().stats().led, Instant::now() + LIMIT);
    while node.cluster().stats().led == before {
        assert!(Instant::now() < deadline, "never led: {:?}", node.cluster().stats());
        node.join("until-led", at_once(&Count::default(), "led")).await.unwrap();
        sleep(Duration::from_millis(2)).await;
    }
}
