//! A value that handles messages one after the other, on the threads that send them: the wait graph and the admission queue
//! are such values.
//!
//! It is owned by moving it, as a shard is: each message goes into a queue, and the thread that finds the value in its cell
//! handles all that is queued. No thread waits for it.

use std::sync::Arc;

use crate::{
    queue::Queue,
    sync::{Cell, bound, off_the_workers},
};

/// The most messages that are handled between taking the value out and putting it back.
const BATCH: usize = bound(256, 2);

/// The most messages that a sender handles, of others for the most part. A thread of the crate's own handles the rest.
const MOST_OF_OTHERS: usize = bound(4096, 4);

pub(crate) trait Handler: Sized + Send + 'static {
    type Message: Send + 'static;
    /// What a message leaves to do.
    type Effect;
    /// What carrying it out takes.
    type Outside: Send + Sync + 'static;

    /// Runs nothing of the user's.
    fn handle(&mut self, message: Self::Message, effects: &mut Vec<Self::Effect>);

    /// Once the value is back in its cell.
    fn carry_out(outside: &Self::Outside, effects: Vec<Self::Effect>);
}

pub(crate) struct Serial<H: Handler> {
    value: Cell<H>,
    queue: Queue<H::Message>,
    outside: H::Outside,
}

/// The value, out of its cell. Back in it when this is dropped, so that a message that unwinds doesn't lose it.
struct Taken<'a, H: Handler> {
    from: &'a Serial<H>,
    value: Option<Box<H>>,
}

impl<H: Handler> Drop for Taken<'_, H> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            self.from.value.put(value);
        }
    }
}

impl<H: Handler> Serial<H> {
    pub(crate) fn new(value: H, outside: H::Outside) -> Arc<Self> {
        Arc::new(Self { value: Cell::full(Box::new(value)), queue: Queue::new(), outside })
    }

    pub(crate) fn post(self: &Arc<Self>, message: H::Message) {
        self.queue.push(message);
        self.catch_up(MOST_OF_OTHERS);
    }

    /// Handles what is queued, for as long as no other thread takes the value. The thread that has it looks at the queue after
    /// putting it back: why that suffices is said where shards are put back, in the engine's turns.
    fn catch_up(self: &Arc<Self>, most: usize) {
        let mut handled = 0;
        loop {
            let mut effects = Vec::new();
            {
                let mut taken = Taken { from: self, value: self.value.take() };
                let Some(value) = &mut taken.value else { return };
                let messages: Vec<_> = (0..BATCH).map_while(|_| self.queue.pop()).collect();
                handled += messages.len();
                let rest = if messages.len() < BATCH { self.queue.shrink() } else { Vec::new() };
                messages.into_iter().chain(rest).for_each(|message| value.handle(message, &mut effects));
            }
            if !effects.is_empty() {
                H::carry_out(&self.outside, effects);
            }
            if self.queue.is_empty() || !self.queue.has_message() {
                return;
            }
            if handled >= most {
                let serial = Arc::clone(self);
                off_the_workers(move || serial.catch_up(usize::MAX));
                return;
            }
        }
    }

    /// Looks at the value. `None` if it is out, or if messages wait for it.
    #[cfg(test)]
    pub(crate) fn at_rest<T>(&self, look: impl FnOnce(&H) -> T) -> Option<T> {
        let taken = Taken { from: self, value: self.value.take() };
        let value = taken.value.as_deref().filter(|_| self.queue.is_empty());
        value.map(look)
    }

    /// Runs `meanwhile` with the value out of its cell.
    #[cfg(all(test, not(shardflight_shuttle)))]
    pub(crate) fn while_out<T>(&self, meanwhile: impl FnOnce() -> T) -> T {
        let taken = Taken { from: self, value: self.value.take() };
        assert!(taken.value.is_some(), "another thread has it");
        meanwhile()
    }
}
