//! A shard's task and its mailbox, in kameo's place and with kameo's order.

use std::{
    collections::VecDeque,
    future::poll_fn,
    marker::PhantomData,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use super::{Runtime, oneshot, point};
use crate::{
    control::{Control, Inside},
    error::Closed,
    live::{Key, Value},
    pump::Pump,
};

/// The asking end of a mailbox. When it is dropped the shard stops, as an actor without references does.
pub(crate) struct Port<K: Key, V: Value> {
    mailbox: Arc<Mailbox<K>>,
    values: PhantomData<fn() -> V>,
}

impl<K: Key, V: Value> Port<K, V> {
    /// As the actor does: the mailbox first, then the pump; at the end, whichever way it comes, the pump is closed.
    pub(crate) fn open(runtime: &Runtime, pump: Pump<K, V>) -> Self {
        let mailbox = Arc::new(Mailbox(Mutex::new(Letters::default())));
        let read = Reader(Arc::clone(&mailbox));
        runtime.spawn(async move {
            let mut inside = Inside::new(pump);
            while let Some(control) = poll_fn(|cx| inside.poll(cx, |cx| read.poll(cx))).await {
                control.carry_out(inside.pump()).await;
            }
            inside.pump().close();
        });
        Self { mailbox, values: PhantomData }
    }

    pub(crate) fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Control<K>,
    ) -> Result<impl Future<Output = Result<T, Closed>>, Closed> {
        let (reply, answer) = oneshot::async_channel();
        self.mailbox.put(question(reply))?;
        Ok(async { answer.await.map_err(|_| Closed) })
    }

    pub(crate) fn downgrade(&self) -> WeakPort<K, V> {
        WeakPort { mailbox: Arc::downgrade(&self.mailbox), values: PhantomData }
    }
}

/// The same for somebody who doesn't keep the shard alive.
pub(crate) struct WeakPort<K: Key, V: Value> {
    mailbox: Weak<Mailbox<K>>,
    values: PhantomData<fn() -> V>,
}

impl<K: Key, V: Value> WeakPort<K, V> {
    pub(crate) async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Control<K>) -> Result<T, Closed> {
        let (reply, answer) = oneshot::async_channel();
        self.mailbox.upgrade().ok_or(Closed)?.put(question(reply))?;
        answer.await.map_err(|_| Closed)
    }
}

impl<K: Key, V: Value> Drop for Port<K, V> {
    fn drop(&mut self) {
        point();
        let mut letters = self.mailbox.letters();
        letters.last = true;
        let reader = letters.reader.take();
        drop(letters);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

struct Mailbox<K>(Mutex<Letters<K>>);

struct Letters<K> {
    queue: VecDeque<Control<K>>,
    reader: Option<Waker>,
    /// Nobody will write any more.
    last: bool,
    /// Nobody will read any more.
    unread: bool,
}

impl<K> Default for Letters<K> {
    fn default() -> Self {
        Self { queue: VecDeque::new(), reader: None, last: false, unread: false }
    }
}

impl<K> Mailbox<K> {
    fn put(&self, control: Control<K>) -> Result<(), Closed> {
        point();
        let mut letters = self.letters();
        if letters.unread {
            return Err(Closed);
        }
        letters.queue.push_back(control);
        let reader = letters.reader.take();
        drop(letters);
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }

    /// Never held across a scheduling point.
    fn letters(&self) -> MutexGuard<'_, Letters<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reading end.
struct Reader<K>(Arc<Mailbox<K>>);

impl<K> Reader<K> {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Control<K>>> {
        point();
        let mut letters = self.0.letters();
        if let Some(control) = letters.queue.pop_front() {
            return Poll::Ready(Some(control));
        }
        if letters.last {
            return Poll::Ready(None);
        }
        letters.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<K> Drop for Reader<K> {
    fn drop(&mut self) {
        point();
        let unheard = {
            let mut letters = self.0.letters();
            letters.unread = true;
            mem::take(&mut letters.queue)
        };
        drop(unheard);
    }
}
