//! flume's queue and oneshot's channels, in steps.

use std::cell::Cell;

use super::point;

std::thread_local! {
    /// An execution runs on one thread.
    static QUEUED: Cell<usize> = const { Cell::new(0) };
}

/// How many messages were put into queues since it was last asked.
pub(crate) fn messages_queued() -> usize {
    QUEUED.take()
}

pub(crate) mod flume {
    use ::flume::{SendError, TryRecvError};

    use super::{QUEUED, point};

    pub(crate) struct Sender<T>(::flume::Sender<T>);

    pub(crate) struct Receiver<T>(::flume::Receiver<T>);

    pub(crate) fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = ::flume::unbounded();
        (Sender(sender), Receiver(receiver))
    }

    impl<T> Sender<T> {
        pub(crate) fn send(&self, message: T) -> Result<(), SendError<T>> {
            point();
            QUEUED.set(QUEUED.get() + 1);
            self.0.send(message)
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
            point();
            self.0.try_recv()
        }

        pub(crate) fn is_empty(&self) -> bool {
            point();
            self.0.is_empty()
        }

        pub(crate) fn drain(&self) -> impl Iterator<Item = T> {
            point();
            self.0.drain()
        }
    }
}

pub(crate) mod oneshot {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    pub(crate) use ::oneshot::{RecvError, SendError, TryRecvError};

    use super::point;

    /// `None` once it has sent: to be dropped unsent is a step of its own.
    pub(crate) struct Sender<T>(Option<::oneshot::Sender<T>>);

    pub(crate) struct Receiver<T>(::oneshot::Receiver<T>);

    pub(crate) struct AsyncReceiver<T>(::oneshot::AsyncReceiver<T>);

    pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = ::oneshot::channel();
        (Sender(Some(sender)), Receiver(receiver))
    }

    pub(crate) fn async_channel<T>() -> (Sender<T>, AsyncReceiver<T>) {
        let (sender, receiver) = ::oneshot::async_channel();
        (Sender(Some(sender)), AsyncReceiver(receiver))
    }

    impl<T> Sender<T> {
        pub(crate) fn send(mut self, message: T) -> Result<(), SendError<T>> {
            point();
            self.0.take().expect("a sender sends once").send(message)
        }

        pub(crate) fn is_closed(&self) -> bool {
            point();
            self.0.as_ref().is_none_or(::oneshot::Sender::is_closed)
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            if self.0.is_some() {
                point();
            }
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
            point();
            self.0.try_recv()
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            point();
        }
    }

    impl<T> Future for AsyncReceiver<T> {
        type Output = Result<T, RecvError>;

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
            point();
            Pin::new(&mut self.0).poll(cx)
        }
    }

    impl<T> Drop for AsyncReceiver<T> {
        fn drop(&mut self) {
            point();
        }
    }
}
