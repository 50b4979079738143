//! Joining from threads that know nothing of async.

use std::{
    hash::{BuildHasher, Hash},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Instant,
};

use crate::{
    error::JoinError,
    handle::Handle,
    join::own,
    joining::{leave, settle},
    live::post,
    panics::{catch, drop_contained},
    router::Seat,
    shard::{self, Message},
    ticket::{Circumstances, Ticket},
    watch::Ending,
    work::BlockingWork,
};

impl<K, V, S> Handle<K, V, S>
where
    K: Hash + Eq + Send + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// [`join`](Self::join) for plain threads: blocks until the answer is there.
    ///
    /// If this join starts the flight, `work` runs on the blocking pool of the coalescer's runtime, and everyone who
    /// joins the key meanwhile, thread or task, shares its result. Work that blocks cannot be interrupted: a flight that
    /// is cut short lets its callers go, and leaves the thread to end by itself. A join that is bypassed runs its work on
    /// this very thread, for as long as it takes: a [`max_wait`](Self::with_max_wait) can't interrupt it.
    ///
    /// Callers on the blocking pool take threads that the work needs too: as many of them at once as the pool has threads,
    /// and the work gets one only when their deadline lets them go.
    ///
    /// # Panics
    ///
    /// When called from async code, where it would block a thread that other tasks need: Tokio's message, which the panic
    /// hook reports first, and then one that names the way out. Await [`join`](Self::join) there, or move the call into
    /// [`tokio::task::spawn_blocking`], where it is welcome.
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
        refuse_async_code();
        // The user's topology and subscriber, before anything else of the user's is in hand.
        let (domain, circumstances) = (self.router().domain(), self.router().circumstances());
        let (hash, key, work) = self.router().admit(key.into(), work)?;
        let since = self.router().since();
        let seat = self.router().seat(hash, domain);
        if !self.router().coalesces(hash) {
            self.router().count_bypass(seat);
            drop_contained(key);
            let product = catch(work).map_err(JoinError::Panicked);
            self.router().waited(since, Ending::Bypassed);
            return product;
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let nested = circumstances.as_deref().is_some_and(Circumstances::is_nested);
        let (ticket, caller) = Ticket::new(BlockingWork(work), circumstances, waker.clone());
        post(self.router().lane(seat), Message::Join(shard::Join { hash, key, caller, nested }));
        let (outcome, ending) = self.wait(seat, &ticket, &waker);
        self.router().waited(since, ending);
        own(outcome?, V::clone)
    }

    fn wait<W>(&self, seat: Seat, ticket: &Ticket<K, V, W>, waker: &Waker) -> (Result<Arc<V>, JoinError>, Ending) {
        let (began, limit) = (Instant::now(), self.max_wait());
        let mut cx = Context::from_waker(waker);
        loop {
            if let Poll::Ready(arrival) = ticket.poll(&mut cx) {
                return (settle(arrival), Ending::Answered);
            }
            // Either may return for no reason.
            match limit.map(|limit| (limit, limit.saturating_sub(began.elapsed()))) {
                None => thread::park(),
                Some((_, left)) if !left.is_zero() => thread::park_timeout(left),
                Some((limit, _)) => {
                    leave(ticket, self.router().lane(seat), seat.hash);
                    return (Err(JoinError::TimedOut { after: limit }), Ending::Left);
                }
            }
        }
    }
}

/// Wakes the thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Panics if this thread drives async tasks. Tokio knows, and tells by panicking from a receive that blocks; its message
/// names no way out, so ours follows it.
#[track_caller]
fn refuse_async_code() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    // Answered already, so that it never really blocks.
    let _ = sender.send(());
    assert!(
        catch(|| receiver.blocking_recv()).is_ok(),
        "`blocking_join` was called from async code and would block a thread that other tasks need; \
         await `join` there, or move the call into `tokio::task::spawn_blocking`"
    );
}
