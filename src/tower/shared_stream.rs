//! A body over the cap, which the callers of one flight read as it arrives.
//!
//! A task reads the inner service's body into a bounded buffer, at the pace of the fastest reader. So readers don't wait for each
//! other: one that falls behind by more than the buffer holds has lost its place, and has to go on by itself.

use std::{
    collections::VecDeque,
    error::Error,
    fmt,
    future::poll_fn,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::{
    runtime::Handle as Runtime,
    task::{AbortHandle, coop::consume_budget},
};

use super::{
    body::End,
    error::{ArcError, BoxError, share},
    stream_buffer::{Buffer, Position, Read, Room},
};
use crate::{
    sync::{clock, now},
    unwind::{Contained, contain, drop_contained},
};

/// How long the task waits, in all, for readers that are slower than the buffer is large: they may only not have been polled yet.
const SLOW_READERS_WAIT: Duration = Duration::from_millis(100);

/// Larger chunks are cut, so that readers lose no more of them than they must.
const CHUNK: usize = 64 * 1024;

/// Smaller chunks are copied. They may be slices of larger buffers, such as hyper's of 8 KiB, which each of them would keep alive:
/// the cap would bound a small part of the memory that is held.
const SMALL: usize = 4 * 1024;

/// Aborts its task when the last caller has let go of it.
pub(super) struct SharedStream {
    state: Mutex<State>,
    /// The body's length, if it was known at its beginning.
    length: Option<u64>,
    task: OnceLock<AbortHandle>,
}

struct State {
    buffer: Buffer,
    end: Option<End>,
    /// By the readers' numbers: those that wait for a chunk.
    readers: Vec<Option<Waker>>,
    /// The task, while it waits for readers, and what it has seen.
    task: Option<(Room, Waker)>,
    /// To be woken outside of the lock.
    wakes: Vec<Waker>,
}

/// A reader's number, and its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    reader: usize,
    pub(super) position: Position,
}

impl Place {
    /// Of the reader.
    pub(super) fn number(&self) -> usize {
        self.reader
    }
}

pub(super) enum Next {
    Data(Bytes),
    End(End),
    /// What the reader needs next is no longer in the buffer.
    Lost,
}

impl SharedStream {
    /// Reads on from a body of which a part was read already, for so many callers, and for those that still join. To be called
    /// inside a runtime.
    pub(super) fn start<B>(read: VecDeque<Bytes>, rest: Pin<Box<B>>, max_size: usize, callers: usize) -> Arc<Self>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let so_far = read.iter().map(Bytes::len).sum::<usize>() as u64;
        let buffer = Buffer::new(max_size, callers);
        let state = State { buffer, end: None, readers: Vec::new(), task: None, wakes: Vec::new() };
        let length = rest.size_hint().exact().and_then(|rest| rest.checked_add(so_far));
        let stream = Arc::new(Self { state: Mutex::new(state), length, task: OnceLock::new() });
        read.into_iter().for_each(|data| stream.push(data));
        let reading = Reading { stream: Arc::downgrade(&stream), wait_left: SLOW_READERS_WAIT };
        let task = Runtime::current().spawn(reading.run(rest));
        let _ = stream.task.set(task.abort_handle());
        stream
    }

    /// A reader's place at the beginning.
    pub(super) fn reader(&self) -> Place {
        self.with(|state| {
            state.readers.push(None);
            Place { reader: state.readers.len() - 1, position: state.buffer.join() }
        })
    }

    pub(super) fn poll(&self, place: &mut Place, cx: &Context<'_>) -> Poll<Next> {
        // Cloning and dropping wakers runs user code: outside of the lock.
        let waker = cx.waker().clone();
        let (next, _older) = self.with(|state| {
            let next = match state.buffer.read(&mut place.position) {
                Read::Data(data) => Next::Data(data),
                Read::Lost => Next::Lost,
                Read::Nothing => match &state.end {
                    Some(end) => Next::End(end.clone()),
                    None => return (Poll::Pending, state.readers[place.reader].replace(waker)),
                },
            };
            (Poll::Ready(next), Some(waker))
        });
        next
    }

    /// A reader that reads no more.
    pub(super) fn leave(&self, place: &mut Place) {
        let _waker = self.with(|state| {
            state.buffer.leave(&mut place.position);
            state.readers[place.reader].take()
        });
    }

    /// The body's length, if it was known at its beginning.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    fn push(&self, mut data: Bytes) {
        if data.len() < SMALL {
            let copy = Bytes::copy_from_slice(&data);
            // What it is a slice of may be the user's.
            drop_contained(mem::replace(&mut data, copy));
        }
        self.with(|state| {
            while data.len() > CHUNK {
                state.buffer.push(data.split_to(CHUNK));
            }
            state.buffer.push(data);
            state.wake_readers();
        });
    }

    fn end(&self, end: End) {
        self.with(|state| {
            state.end.get_or_insert(end);
            state.wake_readers();
        });
    }

    fn lose_slow(&self) {
        self.with(|state| {
            state.buffer.lose_slow();
            state.wake_readers();
        });
    }

    fn room(&self) -> Room {
        self.with(|state| state.buffer.room())
    }

    /// Until the room is another than was seen.
    fn poll_change(&self, seen: Room, cx: &Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let (is_changed, _older) = self.with(|state| {
            let is_changed = state.buffer.room() != seen;
            (is_changed, state.task.replace((seen, waker)))
        });
        if is_changed { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Under the lock. What runs user code comes after it: wakers, and data that is dropped.
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut state);
        let room = state.buffer.room();
        let task = state.task.take_if(|(seen, _)| *seen != room);
        let (old, wakes) = (mem::take(&mut state.buffer.old), mem::take(&mut state.wakes));
        drop(state);
        // Contained: one that panics must not take the others' wake-ups with it.
        wakes.into_iter().chain(task.map(|(_, waker)| waker)).for_each(|waker| contain(|| waker.wake()));
        old.into_iter().for_each(drop_contained);
        result
    }
}

impl State {
    fn wake_readers(&mut self) {
        self.wakes.extend(self.readers.iter_mut().filter_map(Option::take));
    }
}

impl Drop for SharedStream {
    fn drop(&mut self) {
        self.task.get().into_iter().for_each(AbortHandle::abort);
    }
}

impl fmt::Debug for SharedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedStream").field("length", &self.length).finish_non_exhaustive()
    }
}

/// The task's work. Dropped before its end, by a panic of the body or by its runtime, it ends the stream with an error.
struct Reading {
    /// Weak: the callers keep the stream, and with it this task.
    stream: Weak<SharedStream>,
    /// Of `SLOW_READERS_WAIT`.
    wait_left: Duration,
}

impl Reading {
    async fn run<B>(mut self, body: Pin<Box<B>>)
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut body = Contained::new(body);
        loop {
            // Yields now and then: a body that is always ready would block its thread.
            consume_budget().await;
            if self.wait_for_room().await.is_none() {
                return;
            }
            let frame = poll_fn(|cx| body.get_mut().as_mut().poll_frame(cx)).await;
            let Some(stream) = self.stream.upgrade() else { return };
            let end = match frame {
                None => End::Plain,
                Some(Err(error)) => End::Failed(share(error)),
                Some(Ok(frame)) => match frame.into_data().map_err(Frame::into_trailers) {
                    Ok(data) => {
                        if !data.is_empty() {
                            stream.push(data);
                        }
                        continue;
                    }
                    Err(Ok(trailers)) => End::Trailers(Box::new(trailers)),
                    // A kind of frame that `http-body` may add.
                    Err(Err(_)) => continue,
                },
            };
            stream.end(end);
            return;
        }
    }

    /// `None` if no caller is left.
    async fn wait_for_room(&mut self) -> Option<()> {
        loop {
            let seen = self.stream.upgrade()?.room();
            match seen {
                Room::Free => return Some(()),
                Room::Ahead => poll_fn(|cx| self.poll_change(seen, cx)).await,
                Room::Full => self.wait_for_slow_readers(seen).await,
            }
        }
    }

    async fn wait_for_slow_readers(&mut self, seen: Room) {
        let began = now();
        let mut sleep = clock::sleep_here(self.wait_left).filter(|_| !self.wait_left.is_zero()).map(Box::pin);
        let is_over = poll_fn(|cx| {
            if self.poll_change(seen, cx).is_ready() {
                return Poll::Ready(false);
            }
            // Without timers there is no wait.
            sleep.as_mut().map_or(Poll::Ready(()), |sleep| sleep.as_mut().poll(cx)).map(|()| true)
        });
        if is_over.await {
            self.stream.upgrade().into_iter().for_each(|stream| stream.lose_slow());
        }
        self.wait_left = self.wait_left.saturating_sub(now().saturating_duration_since(began));
    }

    fn poll_change(&self, seen: Room, cx: &Context<'_>) -> Poll<()> {
        self.stream.upgrade().map_or(Poll::Ready(()), |stream| stream.poll_change(seen, cx))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.upgrade() {
            stream.end(End::Failed(BodyError::Interrupted.into()));
        }
    }
}

/// Why a shared body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// The body panicked, or its runtime has ended.
    Interrupted,
    /// A reader was slower than the buffer is large, and was not to go on by itself.
    TooSlow,
    /// A reader that went on by itself got another response.
    Changed,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupted => "the shared body was not read to its end: it panicked, or its runtime has ended",
            Self::TooSlow => "the shared body was read too slowly: what comes next is no longer in the buffer",
            Self::Changed => {
                "the shared body was read too slowly, and could not be continued: it has changed meanwhile"
            }
        })
    }
}

impl Error for BodyError {}

impl From<BodyError> for ArcError {
    fn from(error: BodyError) -> Self {
        Arc::new(error)
    }
}
