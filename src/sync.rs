//! What the protocol is built on: atomics, the shard's cell, queues, replies, tasks and the clock.
//!
//! Everything through which callers, shards and running work touch each other is imported from here. In every ordinary
//! build these are other crates' own types, and nothing of this file is left. Where unit tests are compiled with
//! `--cfg shardflight_shuttle` they are stand-ins that ask Shuttle's scheduler which task is next before they act, so that
//! the tests in `src/interleavings/` run the very same engine through many orders of these steps. Types that only one task
//! at a time can reach aren't in here.

use std::pin::Pin;

use crate::unwind::Deferred;

#[cfg(not(shardflight_shuttle))]
mod real {
    use std::{sync::mpsc, thread, time::Instant};
    pub(crate) use std::{
        sync::{
            OnceLock,
            atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize},
        },
        thread_local,
    };

    pub(crate) use ::{flume, oneshot};
    #[cfg(feature = "cache")]
    pub(crate) use ::quick_cache::sync as quick_cache;
    use crossbeam_utils::atomic::AtomicCell;
    pub(crate) use futures_util::task::AtomicWaker;
    use tokio::runtime::RuntimeFlavor;
    pub(crate) use tokio::{
        runtime::Handle as Runtime,
        time::{Sleep, sleep, sleep_until},
    };

    pub(crate) use crate::actor::{Actors, clock};
    use crate::unwind::{catch, contain};

    /// A value that is owned by taking it out and given up by putting it back. Empty while it is owned.
    pub(crate) struct Cell<T>(AtomicCell<Option<Box<T>>>);

    impl<T> Cell<T> {
        const LOCK_FREE: () =
            assert!(AtomicCell::<Option<Box<T>>>::is_lock_free(), "a pointer is swapped by one instruction");

        pub(crate) const fn empty() -> Self {
            let () = Self::LOCK_FREE;
            Self(AtomicCell::new(None))
        }

        pub(crate) fn full(value: Box<T>) -> Self {
            let () = Self::LOCK_FREE;
            Self(AtomicCell::new(Some(value)))
        }

        /// One swap, with acquire and release ordering, whether it finds something or not.
        pub(crate) fn take(&self) -> Option<Box<T>> {
            self.0.swap(None)
        }

        /// One swap, with acquire and release ordering. Gives back what was in there, which is nothing where there is but
        /// one value.
        pub(crate) fn put(&self, value: Box<T>) -> Option<Box<T>> {
            self.0.swap(Some(value))
        }

        pub(crate) fn into_inner(self) -> Option<Box<T>> {
            self.0.into_inner()
        }
    }

    /// A bound on how much is done at once: the usual one. Explored are smaller ones, which few tasks reach.
    pub(crate) const fn bound(usual: usize, _explored: usize) -> usize {
        usual
    }

    /// Tokio's clock, which tests can pause, in the standard library's terms, which the shard understands.
    #[inline]
    pub(crate) fn now() -> Instant {
        // Once a clock of the process has been paused, Tokio panics where its thread-local is gone: in the destructor of
        // another one.
        catch(|| tokio::time::Instant::now().into_std()).unwrap_or_else(|_| Instant::now())
    }

    /// Whether `runtime` has workers that keep a task in a slot which no other worker takes from.
    pub(crate) fn has_many_workers(runtime: &Runtime) -> bool {
        runtime.runtime_flavor() != RuntimeFlavor::CurrentThread
    }

    /// Whether this thread runs tasks of `runtime`.
    pub(crate) fn is_inside(runtime: &Runtime) -> bool {
        Runtime::try_current().is_ok_and(|current| current.id() == runtime.id())
    }

    /// Whether Tokio's thread-local is gone, as it is in the destructor of another one. Tokio's tasks can be spawned there, but
    /// its runtimes can't be entered and its timers can't be made, by panics of its own.
    pub(crate) fn is_thread_ending() -> bool {
        Runtime::try_current().is_err_and(|error| error.is_thread_local_destroyed())
    }

    /// Runs `action` on a thread that is no runtime's worker: one of our own, which all coalescers of the process share and
    /// the first to need it starts. The action must not block.
    pub(crate) fn off_the_workers(action: impl FnOnce() + Send + 'static) {
        type Action = Box<dyn FnOnce() + Send>;
        static ACTIONS: OnceLock<Option<mpsc::Sender<Action>>> = OnceLock::new();
        let actions = ACTIONS.get_or_init(|| {
            let (actions, queue) = mpsc::channel::<Action>();
            let run = move || queue.into_iter().for_each(contain);
            thread::Builder::new().name("shardflight spawner".to_owned()).spawn(run).ok().map(|_| actions)
        });
        match actions {
            Some(actions) => drop(actions.send(Box::new(action))),
            // No thread is to be had: better here than never.
            None => action(),
        }
    }

    /// Runs `action`, which may block, on a new thread.
    pub(crate) fn run_on_its_own_thread(action: impl FnOnce() + Send + 'static) {
        let action: Box<dyn FnOnce() + Send> = Box::new(action);
        // Where no thread is to be had, the action is dropped with the error, here.
        drop(thread::Builder::new().name("shardflight".to_owned()).spawn(action));
    }
}

/// What is spawned too rarely for an allocation to matter, as one type for all: of each type of task that it is given, Tokio
/// has some five hundred functions to compile.
pub(crate) fn boxed_task(task: impl Future<Output = ()> + Send + 'static) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(task)
}

/// Has a task of its own do it; the runtime's end, if it comes before.
pub(crate) fn defer(runtime: &Runtime, deferred: Deferred) {
    drop(runtime.spawn(boxed_task(async move { drop(deferred) })));
}

#[cfg(shardflight_shuttle)]
#[path = "interleavings/stand_ins/mod.rs"]
mod stand_ins;

#[cfg(not(shardflight_shuttle))]
pub(crate) use self::real::*;
#[cfg(shardflight_shuttle)]
pub(crate) use self::stand_ins::*;
