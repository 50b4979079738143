//! User code may panic anywhere: in closures, `Hash`, `Eq`, `Clone`, `Drop`, and in the drop of a panic's own payload.
//! Everything of the user's that runs on another caller's behalf runs through here (G13).

use std::{
    any::Any,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
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

/// Drops a value of the user's; a panic in its `Drop` ends here. The panic hook has already reported it.
pub(crate) fn drop_contained<T>(value: T) {
    // Most of what passes here has nothing to drop, and costs nothing then.
    if mem::needs_drop::<T>() {
        contain(|| drop(value));
    }
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
