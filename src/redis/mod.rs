//! One execution for all replicas: flights that are shared across processes, over Redis or Valkey.

mod background;
mod breaker;
mod builder;
mod cluster;
mod codec;
mod config;
mod counters;
mod drive;
mod envelope;
mod error;
mod fail_open;
mod fence;
mod fresh;
mod handle;
mod heartbeat;
mod key;
mod lease;
mod link;
mod mailboxes;
mod node;
mod operations;
mod scripts;
mod seek;
mod server;
#[cfg(test)]
mod simulation;
mod stats;
mod trace;
mod work;

#[cfg(feature = "postcard")]
pub use self::codec::Postcard;
pub use self::{
    builder::ClusterBuilder,
    cluster::Cluster,
    codec::{Codec, CodecError, Json},
    config::OnUnavailable,
    error::ClusterBuildError,
    fail_open::FailOpen,
    fence::Fence,
    handle::ClusterHandle,
    key::{ClusterKey, KeyBytes},
    server::Server,
    stats::ClusterStats,
    work::{BoxedWork, ClusterWork},
};
