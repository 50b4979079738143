//! The task that keeps a node connected.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
    time::Duration,
};

use ::redis::RedisResult;
use futures_util::FutureExt;
use tokio::time::{sleep, timeout};

use super::{Connection, Link};
use crate::{
    redis::{breaker::open_for, node::Node, trace},
    unwind::drop_contained,
};

/// For one attempt to connect.
const CONNECT: Duration = Duration::from_secs(2);
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
            alive.breaker.close();
            link.connected(connection);
            trace::connected(&alive.config.namespace);
            drop(alive);
            while link.is_connected() {
                link.doubt.notified().await;
            }
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
    match timeout(CONNECT * 2, AssertUnwindSafe(attempt).catch_unwind()).await.ok()? {
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
