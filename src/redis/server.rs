//! Which Redis to talk to.

use std::fmt;

use ::redis::{Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisResult};

/// The Redis or Valkey that all processes share: one server, a Redis Cluster, or the master that Sentinels name.
///
/// URLs are those of the [redis crate](https://docs.rs/redis/latest/redis/#connection-parameters):
/// `redis://[user][:password@]host[:port][/database]`, `redis+unix:///path`, and `rediss://` for TLS, with the feature `redis-tls` and
/// a rustls provider that the application has installed. `&str` and `String` are single servers. Redis has to be 6.2 or newer, as pushes
/// need RESP3.
#[derive(Clone)]
pub struct Server(Kind);

#[derive(Clone)]
enum Kind {
    Single(String),
    #[cfg(feature = "redis-cluster")]
    Cluster(Vec<String>),
    #[cfg(feature = "redis-sentinel")]
    Sentinel {
        master: String,
        sentinels: Vec<String>,
        like: Option<String>,
    },
}

impl Server {
    /// One server.
    pub fn single(url: impl Into<String>) -> Self {
        Self(Kind::Single(url.into()))
    }

    /// A Redis Cluster, of which these nodes are known; the others are found by themselves. Credentials are those of the first URL.
    #[cfg(feature = "redis-cluster")]
    pub fn cluster(urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(Kind::Cluster(urls.into_iter().map(Into::into).collect()))
    }

    /// The master of that name, as these Sentinels know it.
    #[cfg(feature = "redis-sentinel")]
    pub fn sentinel(master: impl Into<String>, sentinels: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let sentinels = sentinels.into_iter().map(Into::into).collect();
        Self(Kind::Sentinel { master: master.into(), sentinels, like: None })
    }

    /// The credentials and the database of the master that the Sentinels name, in a URL whose host is not looked at. Has no effect
    /// without Sentinels.
    #[cfg(feature = "redis-sentinel")]
    #[must_use = "the server it is called on is moved into the result"]
    pub fn master_like(mut self, url: impl Into<String>) -> Self {
        if let Kind::Sentinel { like, .. } = &mut self.0 {
            *like = Some(url.into());
        }
        self
    }

    /// Looks at the URLs, and connects to none.
    pub(super) fn check(&self) -> RedisResult<Address> {
        Ok(match &self.0 {
            Kind::Single(url) => Address::Single(Client::open(parse(url)?)?),
            #[cfg(feature = "redis-cluster")]
            Kind::Cluster(urls) => {
                let urls: Vec<_> = urls.iter().map(|url| parse(url)).collect::<RedisResult<_>>()?;
                // For what it says of them.
                ::redis::cluster::ClusterClient::new(urls.clone())?;
                Address::Cluster(urls)
            }
            #[cfg(feature = "redis-sentinel")]
            Kind::Sentinel { master, sentinels, like } => {
                let sentinels: Vec<_> =
                    sentinels.iter().map(|url| url.as_str().into_connection_info()).collect::<RedisResult<_>>()?;
                let like = like.as_ref().map(|url| parse(url)).transpose()?;
                let address = super::link::sentinel(master.clone(), &sentinels, like.as_ref())?;
                drop(address);
                Address::Sentinel { master: master.clone(), sentinels, like }
            }
        })
    }
}

/// A server whose URLs make sense.
pub(super) enum Address {
    Single(Client),
    #[cfg(feature = "redis-cluster")]
    Cluster(Vec<ConnectionInfo>),
    #[cfg(feature = "redis-sentinel")]
    Sentinel {
        master: String,
        sentinels: Vec<ConnectionInfo>,
        like: Option<ConnectionInfo>,
    },
}

/// With RESP3, for pushes.
fn parse(url: &str) -> RedisResult<ConnectionInfo> {
    let info = url.into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let tcp = super::link::watchful(info.tcp_settings().clone());
    Ok(info.set_redis_settings(settings).set_tcp_settings(tcp))
}

impl From<&str> for Server {
    fn from(url: &str) -> Self {
        Self::single(url)
    }
}

impl From<String> for Server {
    fn from(url: String) -> Self {
        Self::single(url)
    }
}

/// Without URLs, as they may have passwords.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Kind::Single(_) => "single",
            #[cfg(feature = "redis-cluster")]
            Kind::Cluster(_) => "cluster",
            #[cfg(feature = "redis-sentinel")]
            Kind::Sentinel { .. } => "sentinel",
        };
        f.debug_tuple("Server").field(&kind).finish()
    }
}
