//! placeholder

mod actor;
mod builder;
mod coalescer;
mod error;
mod handle;
mod join;
mod lane;
mod live;
mod panics;
mod policy;
mod pump;
mod shard;
mod stats;
mod work;

pub use builder::Builder;
pub use coalescer::Coalescer;
pub use error::{BuildError, CaughtPanic, Closed, JoinError, TryJoinError};
pub use handle::Handle;
pub use join::{Join, JoinShared, TryJoin};
pub use policy::OnAbandon;
pub use stats::Stats;
