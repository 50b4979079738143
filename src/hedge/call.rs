//! One of the calls of hedged work.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use crate::unwind::Contained;

/// How a call ended that is no success.
pub(super) enum Failure<V> {
    Value(V),
    Panic(Box<dyn Any + Send>),
}

impl<V> Failure<V> {
    /// As the end of the work.
    pub(super) fn give(self) -> V {
        match self {
            Self::Value(value) => value,
            Self::Panic(payload) => resume_unwind(payload),
        }
    }
}

/// Each part drops by itself: of two panics in one drop, the second would end the process (G13).
pub(super) enum Call<Fut: Future> {
    Unmade,
    Running(Contained<Pin<Box<Fut>>>),
    Failed(Contained<Failure<Fut::Output>>),
}

impl<Fut: Future> Call<Fut> {
    pub(super) fn make(work: impl FnOnce() -> Fut) -> Self {
        match catch_unwind(AssertUnwindSafe(|| Box::pin(work()))) {
            Ok(future) => Self::Running(Contained::new(future)),
            Err(payload) => Self::Failed(Contained::new(Failure::Panic(payload))),
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self, Self::Running(_))
    }

    /// Ready if it is a success. What has failed stays in here.
    pub(super) fn poll(&mut self, is_success: fn(&Fut::Output) -> bool, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        let Self::Running(future) = self else { return Poll::Pending };
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let value = std::task::ready!(future.get_mut().as_mut().poll(cx));
            Poll::Ready(if is_success(&value) { Ok(value) } else { Err(Failure::Value(value)) })
        }));
        let failure = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Ok(value))) => return Poll::Ready(value),
            Ok(Poll::Ready(Err(failure))) => failure,
            Err(payload) => Failure::Panic(payload),
        };
        *self = Self::Failed(Contained::new(failure));
        Poll::Pending
    }
}
