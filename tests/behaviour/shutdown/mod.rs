//! Shutdown: flights have their grace, then the rest is cut, and every caller is answered (G5).

mod closing;
mod grace;
mod load;
mod own_work;
mod repeated;

use std::time::Duration;

use shardflight::{Coalescer, JoinError};

const SECOND: Duration = Duration::from_secs(1);

fn coalescer(shards: usize) -> Coalescer<i32, i32> {
    Coalescer::builder().shards(shards).no_flight_deadline().build().unwrap()
}

fn is_closed(answer: &Result<i32, JoinError>) -> bool {
    matches!(answer, Err(JoinError::Closed))
}
