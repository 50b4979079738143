//! The task that keeps a node connected.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
    time::Duration,
};

use ::redis::RedisResult;
use futures_util::FutureExt;
use tokio::time::{Instant, sleep, timeout};

use super::{Connection, Link, connection::Slots};
use crate::{
    redis::{breaker::open_for, node::Node, trace},
    unwind::drop_contained,
};

/// For one server to be connected to.
const CONNECT: Duration = Duration::from_secs(2);
/// For one attempt to connect. With a Redis Cluster, silent servers may take up the time of two: one that was named to begin with, and one
/// that the others name.
const ATTEMPT: Duration = Duration::from_secs(6);
/// Between two looks at the slots of a Redis Cluster one of whose servers is silent: they are work for those that answer.
const LOOK: Duration = Duration::from_secs(1);
/// Between attempts while the breaker is closed; flights wait meanwhile, each for its own time.
const RETRY: Duration = Duration::from_millis(50);

/// Connects, and connects again whenever the connection is lost or the breaker opens, until the node is gone and ends it. While the
/// breaker is open, it makes the one probe that there is.
pub(in crate::redis) async fn supervise(node: Weak<Node>, link: Arc<Link>) {
    let mut opened = 0;
    loop {
        let Some(alive) = node.upgrade() else { return };
        if let Some(connection) = connect(&alive).await {
            opened = 0;
            take_into_use(&alive, &link, connection);
            drop(alive);
            keep(&node, &link).await;
        } else {
            alive.note_failure();
            drop(alive);
            sleep(RETRY).await;
        }
        let Some(alive) = node.upgrade() else { return };
        if alive.breaker.is_open() {
            let time = open_for(opened, alive.random());
            drop(alive);
            sleep(time).await;
            opened = opened.saturating_add(1);
        }
    }
}

fn take_into_use(node: &Node, link: &Link, connection: Connection) {
    node.breaker.close();
    link.connected(connection);
    trace::connected(&node.config.namespace);
}

/// Until the connection is lost or the breaker opens.
async fn keep(node: &Weak<Node>, link: &Link) {
    let (mut slots, mut looked) = (slots_of(link).await, Instant::now());
    while link.is_connected() {
        link.doubt.notified().await;
        if !link.was_silent() || !link.is_connected() {
            continue;
        }
        if !link.current().is_some_and(|connection| connection.repairs_itself()) {
            return link.lost();
        }
        // What is silent in a Redis Cluster is one server, and the connection to the others is good. So it stays in use until there is
        // another, and is left only if the slots have moved: if they have not, the same server would be silent again.
        if looked.elapsed() < LOOK {
            continue;
        }
        let now = slots_of(link).await;
        looked = Instant::now();
        if now.is_some() && now == slots {
            continue;
        }
        let Some(alive) = node.upgrade() else { return };
        if let Some(connection) = connect(&alive).await {
            take_into_use(&alive, link, connection);
            slots = slots_of(link).await;
        }
    }
}

/// As one of the servers has them that answer. `None` if none does, or if this is no Redis Cluster.
async fn slots_of(link: &Link) -> Option<Slots> {
    link.current()?.slots().await
}

/// A connection on which the scripts have run once: a server that is loading, a replica or one without the permissions is none.
///
/// A panic of the client's would end the node's connecting for good, so it is a failure like any other.
async fn connect(node: &Arc<Node>) -> Option<Connection> {
    let attempt = async {
        let mut connection = Connection::open(node, CONNECT).await?;
        // Once to load the scripts, and once as flights will run them: a server that is too slow for those is none either.
        let is_quick = async |connection: &mut Connection| {
            timeout(node.config.op_timeout * 2, node.probe(connection)).await.unwrap_or(Ok(false))
        };
        let is_good = node.probe(&mut connection).await? && is_quick(&mut connection).await?;
        RedisResult::Ok(is_good.then_some(connection))
    };
    match timeout(ATTEMPT, AssertUnwindSafe(attempt).catch_unwind()).await.ok()? {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            trace::not_connected(&node.config.namespace, &error);
            None
        }
        Err(panic) => {
            drop_contained(panic);
            None
        }
    }
}
