//! The actors, one per shard: who looks after a shard that no message is at, and for how long it lives.
//!
//! The shard itself is in the [`engine`](crate::engine), and moves to the thread that has a message for it. So nothing of a shard
//! depends on when its actor is next polled, but the deadline of a shard without traffic.

#[cfg(not(shardflight_shuttle))]
pub(crate) mod clock;
pub(crate) mod executor;
#[cfg(not(shardflight_shuttle))]
mod lifecycle;
mod timer;

#[cfg(not(shardflight_shuttle))]
pub(crate) use self::lifecycle::Actors;
#[cfg(feature = "batch")]
pub(crate) use self::timer::Timer;
