//! No flight outlives its deadline unnoticed (G11).

mod detach;
mod expiry;
mod extension;
mod limits;

use std::time::Duration;

use shardflight::{Coalescer, Handle, JoinError, OnExpiry};

const SECOND: Duration = Duration::from_secs(1);

fn with_deadline(limit: Duration, on_expiry: OnExpiry) -> Handle<i32, i32> {
    let builder = Coalescer::builder().shards(1).max_flight_duration(limit).on_expiry(on_expiry);
    builder.build().unwrap().handle()
}

fn timed_out(answer: &Result<i32, JoinError>, limit: Duration) -> bool {
    matches!(answer, Err(JoinError::TimedOut { after }) if *after == limit)
}
