//! Caps hold exactly, count live callers alone, and refuse at once (G7).

mod flights;
mod load;
mod waiters;

use shardflight::{Coalescer, Handle, JoinError, OnAbandon};

fn waiter_cap(limit: usize) -> Handle<i32, i32> {
    Coalescer::builder().shards(1).max_waiters_per_flight(limit).build().unwrap().handle()
}

fn flight_cap(limit: usize, shards: usize) -> Handle<i32, i32> {
    let builder = Coalescer::builder().shards(shards).max_flights(limit).on_abandon(OnAbandon::Abort);
    builder.build().unwrap().handle()
}

fn has_too_many_waiters(answer: &Result<i32, JoinError>) -> bool {
    matches!(answer, Err(JoinError::TooManyWaiters { .. }))
}

fn has_too_many_flights(answer: &Result<i32, JoinError>) -> bool {
    matches!(answer, Err(JoinError::TooManyFlights { .. }))
}
