//! Joins from plain threads.

use std::{
    hash::{BuildHasher, Hash},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use super::{delivered::Delivered, enter::Entry, state::Joining, timeout::WaitTimeout};
use crate::{
    error::{JoinError, TryJoinError},
    handle::Handle,
    observer::WaitEnd,
    sync::is_thread_ending,
    task::{BlockingWork, ByClone, ByResult, BySharedError, JoinKind, current},
    unwind::{catch, drop_contained},
};

impl<K, V, S> Handle<K, V, S>
where
    K: Hash + Eq + Send + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// [`join`](Self::join) for plain threads: blocks until the answer is there.
    ///
    /// If this join starts the flight, `work` runs on the blocking pool of the coalescer's runtime, and all threads and
    /// tasks that join the key meanwhile share its result. Work that blocks cannot be interrupted: a flight that is cut
    /// short answers its callers, and leaves the thread to end by itself. A join that is bypassed runs its work on the
    /// calling thread, for as long as it takes: a [`max_wait`](Self::with_max_wait) can't interrupt it.
    ///
    /// A caller that is blocking work itself runs what it waits for on its own thread, if no other thread has begun it: all
    /// threads of the pool may be such callers. It then waits for as long as that work takes, whatever its limits. Other
    /// callers on the blocking pool, in a `spawn_blocking` of their own, take threads that the work needs too: if as many
    /// of them wait as the pool has threads, the work gets a thread only when their deadline ends their wait.
    ///
    /// Tokio's queue for the pool has no bound. While all threads are busy, each flight that ends before a thread has begun its work
    /// leaves an entry there, with the room of a task and of a value, which no cap counts.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    ///
    /// # Panics
    ///
    /// When called from async code, where it would block a thread that other tasks need. The panic hook reports Tokio's
    /// message first, and then one that names the alternatives: await [`join`](Self::join) there, or move the call into
    /// [`tokio::task::spawn_blocking`], where it is allowed.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # let _inside = runtime.enter();
    /// let handle = shardflight::Coalescer::<String, usize>::new().handle();
    /// # drop(_inside);
    /// let threads: Vec<_> = (0..4)
    ///     .map(|_| {
    ///         let handle = handle.clone();
    ///         std::thread::spawn(move || handle.blocking_join("config", || "config".len()))
    ///     })
    ///     .collect();
    /// for thread in threads {
    ///     assert_eq!(thread.join().unwrap().unwrap(), 6);
    /// }
    /// ```
    #[track_caller]
    pub fn blocking_join<F>(&self, key: impl Into<K>, work: F) -> Result<V, JoinError>
    where
        F: FnOnce() -> V + Send + 'static,
    {
        refuse_async_code("blocking_join", "join");
        self.block::<ByClone, _>(key.into(), work)?.into_value(V::clone)
    }
}

impl<K, T, E, S> Handle<K, Result<T, E>, S>
where
    K: Hash + Eq + Send + 'static,
    T: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// [`blocking_join`](Self::blocking_join) where the value is a `Result`: tells the work's own error from the coalescer's,
    /// as [`try_join`](Self::try_join) does, and counts it among the [`errors`](crate::Stats::errors).
    ///
    /// # Errors
    ///
    /// [`TryJoinError::Work`] if the work returned an error, and [`TryJoinError::Join`] where [`join`](Self::join) fails.
    ///
    /// # Panics
    ///
    /// As [`blocking_join`](Self::blocking_join).
    ///
    /// # Examples
    ///
    /// ```
    /// use shardflight::{Coalescer, TryJoinError};
    ///
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// let coalescer = Coalescer::<u64, Result<String, String>>::builder().build_on(runtime.handle()).unwrap();
    /// let answer = coalescer.handle().blocking_try_join(7_u64, || Err("no such user".to_owned()));
    /// assert!(matches!(answer, Err(TryJoinError::Work(error)) if error == "no such user"));
    /// ```
    #[track_caller]
    pub fn blocking_try_join<F>(&self, key: impl Into<K>, work: F) -> Result<T, TryJoinError<E>>
    where
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        refuse_async_code("blocking_try_join", "try_join");
        self.block::<ByResult, _>(key.into(), work)?.into_value(Result::clone)?.map_err(TryJoinError::Work)
    }
}

impl<K, T, E, S> Handle<K, Result<T, E>, S>
where
    K: Hash + Eq + Send + 'static,
    T: Clone + Send + Sync + 'static,
    E: Send + Sync + 'static,
    S: BuildHasher,
{
    /// [`blocking_try_join`](Self::blocking_try_join) for errors that can't be cloned: all callers of a flight get the same `Arc`
    /// of its error, as with [`try_join_shared`](Self::try_join_shared).
    ///
    /// # Errors
    ///
    /// As [`try_join_shared`](Self::try_join_shared).
    ///
    /// # Panics
    ///
    /// As [`blocking_join`](Self::blocking_join).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{fs, io};
    /// use shardflight::{Coalescer, TryJoinError};
    ///
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// let coalescer = Coalescer::<String, io::Result<String>>::builder().build_on(runtime.handle()).unwrap();
    /// let read = || fs::read_to_string("/no/such/file");
    /// let answer = coalescer.handle().blocking_try_join_shared("/no/such/file", read);
    /// assert!(matches!(answer, Err(TryJoinError::Work(error)) if error.kind() == io::ErrorKind::NotFound));
    /// ```
    #[track_caller]
    pub fn blocking_try_join_shared<F>(&self, key: impl Into<K>, work: F) -> Result<T, TryJoinError<Arc<E>>>
    where
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        refuse_async_code("blocking_try_join_shared", "try_join_shared");
        self.block::<BySharedError, _>(key.into(), work)?.into_result()
    }
}

impl<K, V, S> Handle<K, V, S>
where
    K: Hash + Eq + Send + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    fn block<C, F>(&self, key: K, work: F) -> Result<Delivered<V>, JoinError>
    where
        C: JoinKind<V>,
        F: FnOnce() -> V + Send + 'static,
    {
        let router = self.router();
        // The user's topology and subscriber, before anything else of the user's is in hand.
        let context = router.call_context();
        let (place, key, work) = router.admit(key, work, &context)?;
        let since = router.since();
        if !router.coalesces(place.hash) {
            router.count_bypass(place);
            drop_contained(key);
            let value = catch(work).map_err(JoinError::Panicked);
            router.waited(since, WaitEnd::Bypassed);
            return value.map(Delivered::Own);
        }
        let timeout = WaitTimeout::new(None, since);
        let unpark = Unpark::this_thread();
        let waker = Waker::from(Arc::clone(&unpark));
        let mut cx = Context::from_waker(&waker);
        let work = BlockingWork::<_, C>::new(work);
        let options = self.options().clone();
        let entry = Entry { place, key, work, options, context, timeout, waker: waker.clone(), watch: None };
        let (mut joining, polled) = Joining::entered(Arc::clone(router), entry, &mut cx);
        match joining.conclude(polled, &mut cx) {
            Poll::Ready(delivered) => delivered,
            Poll::Pending => self.wait(joining, &unpark, &mut cx),
        }
    }

    fn wait<W>(
        &self,
        mut joining: Joining<K, V, W, S>,
        unpark: &Unpark,
        cx: &mut Context<'_>,
    ) -> Result<Delivered<V>, JoinError> {
        let (began, limit) = (Instant::now(), self.options().max_wait);
        // This thread may be one of the pool, and all others may wait as it does: work that they wait for runs on one of them.
        let is_nested = current::get().is_some();
        let longest = if is_nested { LOOK_AGAIN } else { Duration::MAX };
        loop {
            if is_nested {
                joining.run_unbegun();
            }
            match limit.map(|limit| (limit, limit.saturating_sub(began.elapsed()))) {
                None => unpark.wait(longest),
                Some((_, left)) if !left.is_zero() => unpark.wait(left.min(longest)),
                Some((limit, _)) => {
                    // The answer may be there, above all where this thread has run the work itself.
                    if let Poll::Ready(delivered) = joining.poll_concluding(cx) {
                        return delivered;
                    }
                    joining.time_out();
                    return Err(JoinError::TimedOut { after: limit });
                }
            }
            if let Poll::Ready(delivered) = joining.poll_concluding(cx) {
                return delivered;
            }
        }
    }
}

/// How long a caller that is work itself waits before it looks again for work that no thread has begun. At its first look,
/// the leader's thread may have been about to offer it.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Wakes the thread that waits.
struct Unpark {
    thread: Thread,
    /// Kept here, too: code of the user's that parks on this thread, as a `Drop` that waits for a channel, may have taken the
    /// thread's own token.
    woken: AtomicBool,
}

impl Unpark {
    fn this_thread() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), woken: AtomicBool::new(false) })
    }

    /// Until it is woken, or has been since the last time, and no longer than this. May return for no reason.
    fn wait(&self, at_most: Duration) {
        if self.take() {
            // It may have been woken by its own poll, which waits for a thread that has lost its core.
            thread::yield_now();
            return;
        }
        if at_most == Duration::MAX {
            thread::park();
        } else {
            thread::park_timeout(at_most);
        }
        self.take();
    }

    /// Acquires what `wake_by_ref` releases: a wake-up that is taken here is for something that the next poll sees.
    fn take(&self) -> bool {
        self.woken.swap(false, Ordering::Acquire)
    }
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Blocks this thread until the future is ready.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let (mut future, unpark) = (pin!(future), Unpark::this_thread());
    let waker = Waker::from(Arc::clone(&unpark));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        unpark.wait(Duration::MAX);
    }
}

/// Panics if this thread drives async tasks. Tokio tells by panicking from a receive that blocks; its message names no
/// alternative, so ours follows it.
#[track_caller]
pub(crate) fn refuse_async_code(called: &str, instead: &str) {
    // In the destructor of a thread-local, Tokio panics whether or not it is async code that runs; and there none does.
    if is_thread_ending() {
        return;
    }
    let (sender, receiver) = tokio::sync::oneshot::channel();
    // Answered already, so that it never really blocks.
    let _ = sender.send(());
    assert!(
        catch(|| receiver.blocking_recv()).is_ok(),
        "`{called}` was called from async code and would block a thread that other tasks need; \
         await `{instead}` there, or move the call into `tokio::task::spawn_blocking`"
    );
}
