//! How a cache keeps what a function returns.

use std::sync::Arc;

use super::super::failure::Fallible;
use crate::cache::Fill;

/// The `fill` of a function that returns the `Result` `R`. A function of its own, as it tells the compiler the type of a closure's
/// argument.
pub fn keep_result<R, F>(fill: F) -> F
where
    R: Fallible,
    F: FnOnce(R::Value) -> Fill<R::Value, Arc<R::Error>>,
{
    fill
}

/// [`keep_result`] of a function that returns the value itself.
pub fn keep_value<V, F>(fill: F) -> F
where
    F: FnOnce(V) -> Fill<V, Arc<V>>,
{
    fill
}

/// The values that this accepts are kept as negative entries.
pub fn keep_negative<V, P, F>(is_negative: P, fill: F) -> impl FnOnce(V) -> Fill<V, Arc<V>>
where
    P: FnOnce(&V) -> bool,
    F: FnOnce(V) -> Fill<V, Arc<V>>,
{
    |value| if is_negative(&value) { Fill::negative(Arc::new(value)) } else { fill(value) }
}

/// The `negative_if` of a function that returns the `Result` `R`, for the error as its cache has it.
pub fn of_shared<R, P>(is_negative: P) -> impl Fn(&Arc<R::Error>) -> bool
where
    R: Fallible,
    P: Fn(&R::Error) -> bool,
{
    move |error| is_negative(error)
}
