//! User code may panic anywhere: in closures, `Hash`, `Eq`, `Clone`, `Drop`, and in the drop of a panic's own payload.
//! Everything of the user's that runs on another caller's behalf runs through here (G13).

use std::{
    any::Any,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    task::Waker,
};

use crate::error::CaughtPanic;

/// Runs user code; a panic becomes its message.
///
/// Unwind safety is asserted because each caller either drops what the closure touched or only read through it.
pub(crate) fn catch<T>(user_code: impl FnOnce() -> T) -> Result<T, CaughtPanic> {
    catch_unwind(AssertUnwindSafe(user_code)).map_err(from_payload)
}

/// The message of a panic that was caught elsewhere.
pub(crate) fn from_payload(payload: Box<dyn Any + Send>) -> CaughtPanic {
    let panic = CaughtPanic::new(message_of(payload.as_ref()));
    drop_contained(payload);
    panic
}

/// A value of the user's on a way where it may be dropped where it is found: a panic in its `Drop` ends here, too.
pub(crate) struct Contained<T>(Option<T>);

impl<T> Contained<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }

    pub(crate) fn get(&self) -> &T {
        self.0.as_ref().expect("it is taken out but once, and then this is gone")
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("it is taken out but once, and then this is gone")
    }

    pub(crate) fn into_inner(mut self) -> T {
        self.0.take().expect("it is taken out but once, and then this is gone")
    }
}

impl<T> Drop for Contained<T> {
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            drop_contained(value);
        }
    }
}

/// Runs exactly once, whether or not the task that it is put into is ever polled: a runtime that shuts down drops its tasks
/// unpolled. A panic in it ends here.
pub(crate) struct Deferred(Option<Box<dyn FnOnce() + Send>>);

impl Deferred {
    pub(crate) fn new(action: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(action)))
    }

    pub(crate) fn wake(waker: Waker) -> Self {
        Self::new(move || waker.wake())
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        if let Some(action) = self.0.take() {
            contain(action);
        }
    }
}

/// Drops a value of the user's; a panic in its `Drop` ends here. The panic hook has already reported it.
pub(crate) fn drop_contained<T>(value: T) {
    // Most of what passes here has nothing to drop, and costs nothing then.
    if mem::needs_drop::<T>() {
        contain(|| drop(value));
    }
}

/// Awaits a future of the user's within one of ours. It is dropped by itself: where its poll panics, before that panic goes on, as of
/// two panics in one unwind the second would end the process; and where it has ended, before its output is looked at.
#[cfg(any(feature = "cache", feature = "redis", feature = "tower"))]
pub(crate) async fn awaited<F: Future>(future: F) -> F::Output {
    let mut running = std::pin::pin!(Some(future));
    std::future::poll_fn(|cx| {
        let future = running.as_mut().as_pin_mut().expect("it is not polled after its end");
        let polled = catch_unwind(AssertUnwindSafe(|| future.poll(cx)));
        if !matches!(polled, Ok(std::task::Poll::Pending)) {
            contain(|| running.set(None));
        }
        polled.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
    })
    .await
}

/// Runs something of the user's that says nothing; a panic in it ends here. The panic hook has already reported it.
pub(crate) fn contain(user_code: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(user_code)) {
        // A payload can panic in its own drop, and the payload of that panic in its own again; leaking ends it.
        mem::forget(payload);
    }
}

fn message_of(payload: &(dyn Any + Send)) -> &str {
    if let Some(message) = payload.downcast_ref::<&'static str>() {
        message
    } else if let Some(message) = payload.downcast_ref::<String>() {
        message
    } else {
        "a payload that is not a string"
    }
}
