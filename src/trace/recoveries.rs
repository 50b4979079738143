//! The events of shards that recovered from a panic, for unit tests: nothing of a user's makes a turn panic.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
};

use tokio::task::yield_now;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{Layer, layer::Context};

use super::listening::listen;

/// Their shards and panics.
#[derive(Clone, Default)]
pub(crate) struct Recoveries(Arc<Mutex<Vec<(u64, String)>>>);

impl Recoveries {
    /// Of this thread, until the guard is dropped.
    pub(crate) fn listen() -> (Self, DefaultGuard) {
        let recoveries = Self::default();
        (recoveries.clone(), listen(recoveries))
    }

    /// Gives tasks their turns until there are as many. The test's limit is a number of turns.
    pub(crate) async fn wait_for(&self, number: usize) -> Vec<(u64, String)> {
        for _ in 0..10_000 {
            if self.0.lock().unwrap().len() >= number {
                break;
            }
            yield_now().await;
        }
        self.0.lock().unwrap().clone()
    }
}

#[derive(Default)]
struct Reader {
    message: String,
    shard: u64,
    panic: String,
}

impl Visit for Reader {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "panic" {
            value.clone_into(&mut self.panic);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "shard" {
            self.shard = value;
        }
    }
}

impl<S: Subscriber> Layer<S> for Recoveries {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if (metadata.target(), *metadata.level()) != ("shardflight", Level::ERROR) {
            return;
        }
        let mut read = Reader::default();
        event.record(&mut read);
        if read.message == "shard recovered from a panic" {
            self.0.lock().unwrap().push((read.shard, read.panic));
        }
    }
}
