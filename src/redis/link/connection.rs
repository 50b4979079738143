//! Connections of every kind, behind one face.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use ::redis::{
    AsyncConnectionConfig, Cmd, PushInfo, PushKind, RedisResult, Value,
    aio::MultiplexedConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
#[cfg(feature = "redis-sentinel")]
use ::redis::{
    ConnectionInfo,
    sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType},
};

use tokio::time;

use crate::redis::{envelope, node::Node, server::Address};

/// The slots of a Redis Cluster: the first and the last of a range, and the master that has it.
pub(super) type Slots = Vec<(i64, i64, Vec<u8>)>;

/// For an answer from one server of a Redis Cluster to what has nothing to do with its keys.
const SLOTS_TIMEOUT: Duration = Duration::from_millis(250);
/// For a server that answers to be among those that are asked, which are picked at random.
const TRIES: u32 = 8;

/// How long a connection is idle before the system asks whether the other machine is still there.
const IDLE: Duration = Duration::from_secs(5);

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
                    .tcp_settings(watchful(TcpSettings::default()))
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

    /// `None` if this is no Redis Cluster, or if no server answers.
    pub(super) async fn slots(&mut self) -> Option<Slots> {
        if !self.repairs_itself() {
            return None;
        }
        let ask = ::redis::cmd("CLUSTER").arg("SLOTS").to_owned();
        for _ in 0..TRIES {
            if let Ok(Ok(answer)) = time::timeout(SLOTS_TIMEOUT, self.query(&ask)).await {
                return read_slots(answer);
            }
        }
        None
    }
}

/// Sorted, as servers don't all list them in the same order.
fn read_slots(answer: Value) -> Option<Slots> {
    let Value::Array(ranges) = answer else { return None };
    let mut slots: Slots = ranges.iter().map(read_range).collect::<Option<_>>()?;
    slots.sort_unstable();
    Some(slots)
}

/// Its first and last slot, then its servers, the master being the first: each with address, port and name.
fn read_range(range: &Value) -> Option<(i64, i64, Vec<u8>)> {
    let Value::Array(range) = range else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = &range[..] else { return None };
    let [_, _, Value::BulkString(name), ..] = &master[..] else { return None };
    Some((*first, *last, name.clone()))
}

/// Settings of a connection whose other machine may go without a word: where the system can be told, it gives the connection up when nothing
/// has been acknowledged for 10 s. Without Nagle's algorithm, which would hold small commands back for each other.
pub(crate) fn watchful(settings: TcpSettings) -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(IDLE);
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple", target_os = "freebsd", windows))]
    let keepalive = keepalive.with_interval(IDLE / 2);
    let settings = settings.set_nodelay(true).set_keepalive(keepalive);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let settings = settings.set_user_timeout(IDLE * 2);
    settings
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
        .set_tcp_settings(watchful(TcpSettings::default()));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, last: i64, master: &[Value]) -> Value {
        Value::Array(vec![Value::Int(first), Value::Int(last), Value::Array(master.to_vec())])
    }

    fn server(name: &str) -> [Value; 3] {
        [Value::BulkString(b"127.0.0.1".to_vec()), Value::Int(6379), Value::BulkString(name.into())]
    }

    #[test]
    fn slots_are_the_same_in_any_order() {
        let (one, two) = (range(0, 8191, &server("one")), range(8192, 16383, &server("two")));
        let slots = read_slots(Value::Array(vec![two.clone(), one.clone()]));
        assert_eq!(slots, read_slots(Value::Array(vec![one.clone(), two])));
        let moved = range(8192, 16383, &server("three"));
        assert_ne!(slots, read_slots(Value::Array(vec![one, moved])));
    }

    #[test]
    fn slots_that_make_no_sense_are_none() {
        for answer in [Value::Nil, Value::Array(vec![Value::Okay]), Value::Array(vec![range(0, 1, &[])])] {
            assert_eq!(read_slots(answer), None);
        }
    }
}
