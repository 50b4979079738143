//! Connections of every kind, behind one face.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use ::redis::{AsyncConnectionConfig, Cmd, PushInfo, PushKind, RedisResult, Value, aio::MultiplexedConnection};
#[cfg(feature = "redis-sentinel")]
use ::redis::{
    ConnectionInfo,
    sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType},
};

use crate::redis::{envelope, node::Node, server::Address};

/// Cheap to clone: all clones share one connection, or one per node of a Redis Cluster.
#[derive(Clone)]
pub(crate) enum Connection {
    Single(MultiplexedConnection),
    #[cfg(feature = "redis-cluster")]
    Cluster(::redis::cluster_async::ClusterConnection),
}

impl Connection {
    /// Connects and subscribes to the node's channel.
    pub(super) async fn open(node: &Arc<Node>, timeout: Duration) -> RedisResult<Self> {
        let (channel, attempt) = (&node.channel, node.link.next_attempt());
        let config = || {
            let node = Arc::downgrade(node);
            // Waits are limited by those who wait.
            AsyncConnectionConfig::new()
                .set_connection_timeout(Some(timeout))
                .set_response_timeout(None)
                .set_push_sender(move |push| pushed(&node, attempt, &push))
        };
        match &node.address {
            Address::Single(client) => {
                let mut connection = client.get_multiplexed_async_connection_with_config(&config()).await?;
                connection.subscribe(channel).await?;
                Ok(Self::Single(connection))
            }
            #[cfg(feature = "redis-cluster")]
            Address::Cluster(nodes) => {
                let pushes = Arc::downgrade(node);
                let client = ::redis::cluster::ClusterClient::builder(nodes.clone())
                    .use_protocol(::redis::ProtocolVersion::RESP3)
                    .tcp_settings(::redis::io::tcp::TcpSettings::default().set_nodelay(true))
                    .connection_timeout(timeout)
                    .overall_response_timeout(None)
                    .push_sender(move |push| pushed(&pushes, attempt, &push))
                    .build()?;
                let mut connection = client.get_async_connection().await?;
                connection.subscribe(channel).await?;
                Ok(Self::Cluster(connection))
            }
            #[cfg(feature = "redis-sentinel")]
            Address::Sentinel { master, sentinels, like } => {
                let mut client = sentinel(master.clone(), sentinels, like.as_ref())?;
                let mut connection = client.get_async_connection_with_config(&config()).await?;
                connection.subscribe(channel).await?;
                Ok(Self::Single(connection))
            }
        }
    }

    pub(crate) fn repairs_itself(&self) -> bool {
        match self {
            Self::Single(_) => false,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(_) => true,
        }
    }

    pub(crate) async fn query(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(connection) => command.query_async(connection).await,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("repairs_itself", &self.repairs_itself()).finish_non_exhaustive()
    }
}

/// Asks the Sentinels anew for each connection, as the master may have changed.
#[cfg(feature = "redis-sentinel")]
pub(crate) fn sentinel(
    master: String,
    sentinels: &[ConnectionInfo],
    like: Option<&ConnectionInfo>,
) -> RedisResult<SentinelClient> {
    let settings = like.map_or_else(Default::default, |like| like.redis_settings().clone());
    let nodes = SentinelNodeConnectionInfo::default()
        .set_redis_connection_info(settings.set_protocol(::redis::ProtocolVersion::RESP3))
        .set_tcp_settings(::redis::io::tcp::TcpSettings::default().set_nodelay(true));
    SentinelClient::build(sentinels.to_vec(), master, Some(nodes), SentinelServerType::Master)
}

/// Runs in the connection's task, which all commands wait for: it looks up a mailbox and no more.
#[expect(clippy::unnecessary_wraps, reason = "the client's trait")]
fn pushed(node: &Weak<Node>, attempt: u64, push: &PushInfo) -> Result<(), std::convert::Infallible> {
    let Some(node) = node.upgrade() else { return Ok(()) };
    match push.kind {
        PushKind::Message => {
            if let Some(Value::BulkString(message)) = push.data.last()
                && let Some((number, lease, message)) = envelope::open_push(message)
            {
                node.mailboxes.push(number, lease, message);
            }
        }
        PushKind::Disconnection => node.link.gap(attempt),
        _ => {}
    }
    Ok(())
}
