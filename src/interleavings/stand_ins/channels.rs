//! flume's queue and oneshot's channel, in steps.

use super::point;

pub(crate) mod flume {
    use ::flume::{SendError, TryRecvError};

    use super::point;

    pub(crate) struct Sender<T>(::flume::Sender<T>);

    pub(crate) struct Receiver<T>(::flume::Receiver<T>);

    pub(crate) fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = ::flume::unbounded();
        (Sender(sender), Receiver(receiver))
    }

    impl<T> Sender<T> {
        pub(crate) fn send(&self, message: T) -> Result<(), SendError<T>> {
            point();
            self.0.send(message)
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
            point();
            self.0.try_recv()
        }

        pub(crate) fn try_iter(&self) -> impl Iterator<Item = T> {
            std::iter::from_fn(|| self.try_recv().ok())
        }

        pub(crate) fn drain(&self) -> impl Iterator<Item = T> {
            point();
            self.0.drain()
        }

        pub(crate) fn len(&self) -> usize {
            point();
            self.0.len()
        }

        pub(crate) fn is_empty(&self) -> bool {
            point();
            self.0.is_empty()
        }
    }
}

pub(crate) mod oneshot {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    pub(crate) use ::oneshot::{RecvError, SendError};

    use super::point;

    /// `None` once it has sent: going away unsent is a step of its own.
    pub(crate) struct Sender<T>(Option<::oneshot::Sender<T>>);

    pub(crate) struct AsyncReceiver<T>(::oneshot::AsyncReceiver<T>);

    pub(crate) fn async_channel<T>() -> (Sender<T>, AsyncReceiver<T>) {
        let (sender, receiver) = ::oneshot::async_channel();
        (Sender(Some(sender)), AsyncReceiver(receiver))
    }

    impl<T> Sender<T> {
        pub(crate) fn send(mut self, message: T) -> Result<(), SendError<T>> {
            point();
            self.0.take().expect("a sender sends once").send(message)
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            if self.0.is_some() {
                point();
            }
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
