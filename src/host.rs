//! What the protocol stands on: atomics, queues, replies, tasks and the clock.
//!
//! Everything through which callers, shards and running work touch each other is imported from here. In every ordinary
//! build these are other crates' own types under their own names, and nothing of this file is left. Under `--cfg shardflight_shuttle`
//! they are stand-ins that ask Shuttle's scheduler who goes next before they act, so that the tests in
//! `src/interleavings/` run the very same lanes, pumps, joins and executions through every order of these steps. Types
//! that only one task at a time can reach aren't in here.

#[cfg(not(shardflight_shuttle))]
mod real {
    use std::sync::{self, MutexGuard, PoisonError};
    pub(crate) use std::{
        sync::atomic::{AtomicBool, AtomicUsize},
        thread_local,
    };

    pub(crate) use ::{flume, oneshot};
    pub(crate) use futures_util::task::AtomicWaker;
    pub(crate) use tokio::{
        runtime::Handle as Runtime,
        task::AbortHandle,
        time::{Sleep, sleep, sleep_until},
    };

    pub(crate) use crate::{
        actor::{Port, WeakPort},
        timers,
    };

    pub(crate) type Task = AbortHandle;

    /// The standard library's, of which nobody panics while it is held.
    pub(crate) struct Mutex<T>(sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// Tokio's clock, which tests can pause, in the standard library's terms, which the shard understands.
    pub(crate) fn now() -> std::time::Instant {
        tokio::time::Instant::now().into_std()
    }
}

#[cfg(shardflight_shuttle)]
#[path = "interleavings/stand_ins/mod.rs"]
mod stand_ins;

#[cfg(not(shardflight_shuttle))]
pub(crate) use self::real::*;
#[cfg(shardflight_shuttle)]
pub(crate) use self::stand_ins::*;
