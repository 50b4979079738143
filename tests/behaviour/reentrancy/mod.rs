//! Work that waits for its own flight gets `Reentrant` (G12).
//!
//! The coalescers here have no deadline, so that an undetected wait cycle is a hang and not a timeout.

mod callers;
mod cycles;
mod graphs;

use futures::future::{BoxFuture, FutureExt};
use shardflight::{Coalescer, Handle, JoinError};

/// What the innermost join of a chain gave: a value, or the message of `Reentrant`.
type Outcome = Result<i32, String>;
type Joiner = Handle<i32, Outcome>;

fn joiner(shards: usize) -> Joiner {
    Coalescer::builder().shards(shards).no_flight_deadline().build().unwrap().handle()
}

/// Joins the first key with work that joins the others, each in the work of the one before, and hands on the outcome of
/// the innermost.
fn chain(handle: Joiner, keys: Vec<i32>) -> BoxFuture<'static, Outcome> {
    async move {
        let Some((&first, rest)) = keys.split_first() else { return Ok(7) };
        let (inner, rest) = (handle.clone(), rest.to_vec());
        match handle.join(first, move || chain(inner, rest)).await {
            Ok(outcome) => outcome,
            Err(error @ JoinError::Reentrant) => Err(error.to_string()),
            Err(other) => panic!("{other:?}"),
        }
    }
    .boxed()
}

fn reentrant() -> Outcome {
    Err(JoinError::Reentrant.to_string())
}
