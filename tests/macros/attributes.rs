//! Other attributes of a coalesced function.

use std::sync::{Arc, Mutex};

use shardflight::coalesce;
use tokio::{runtime, task::yield_now};
use tracing::{Subscriber, instrument, span, subscriber::with_default};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt},
};

use crate::support::limited;

/// Counts the spans named `load`.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<usize>>);

impl<S: Subscriber> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        if attributes.metadata().name() == "load" {
            *self.0.lock().unwrap() += 1;
        }
    }
}

/// The number of `load` spans in two calls that share an execution.
fn spans<F: Future>(calls: impl FnOnce() -> F) -> usize {
    let spans = Spans::default();
    with_default(Registry::default().with(spans.clone()), || {
        runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(limited(calls()));
    });
    *spans.0.lock().unwrap()
}

#[test]
fn instrument_below_sees_every_call() {
    #[coalesce]
    #[instrument]
    async fn load(id: u32, name: &str) -> String {
        yield_now().await;
        format!("{id} {name}")
    }

    assert_eq!(spans(|| async { tokio::join!(load(7, "ada"), load(7, "ada")) }), 2);
}

#[test]
fn instrument_above_sees_every_execution() {
    #[instrument(skip(name), fields(length = name.len()))]
    #[coalesce]
    async fn load(name: &str, id: u32) -> Result<u32, crate::results::Failure> {
        yield_now().await;
        Ok(id + u32::from(name.is_empty()))
    }

    assert_eq!(spans(|| async { tokio::join!(load("ada", 7), load("ada", 7)) }), 1);
}

/// A lost or misplaced attribute is a warning, and warnings are errors when tests are linted.
#[tokio::test]
async fn lints_and_cfg_apply_to_call_and_body() {
    #[coalesce]
    #[must_use]
    #[expect(unused_variables, reason = "the test's own")]
    async fn load(#[allow(unused_mut)] mut id: u32) -> u32 {
        let unused = id;
        id
    }
    #[coalesce]
    #[cfg(any())]
    async fn absent(id: NoSuchType) -> u32 {}
    #[coalesce]
    #[cfg_attr(all(), inline, doc(hidden))]
    #[allow(clippy::unused_async)]
    async fn present(id: u32) -> u32 {
        id
    }

    assert_eq!(limited(load(7)).await, 7);
    assert_eq!(limited(present(7)).await, 7);
}
