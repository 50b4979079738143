//! What a caller of `shardflight` may rely on, one behaviour per test. G1 to G14 are the guarantees of the contract.
//!
//! Nothing here sleeps to let something happen: gates hold work back, and conditions are awaited. A test fails when it makes
//! no progress for a long time, not when it takes long. Nor does it count on when a shard takes a join or a question: within
//! its first poll, or later.

mod abandon;
mod admission;
mod api;
mod blocked_callers;
mod blocking;
mod builder;
mod busy_shard;
mod cancellation;
mod caps;
mod closed_reason;
mod coalescing;
mod current_flight;
mod deadlines;
mod errors;
mod events;
mod forget;
mod freshness;
mod futurelock;
mod gauges;
mod hedged;
mod history;
mod hostile_drops;
mod hostile_keys;
mod hostile_positions;
mod hostile_subscribers;
mod hostile_values;
mod hostile_wakers;
mod hostile_work;
mod in_place;
mod inspect;
mod isolation;
mod large_work;
mod laziness;
mod lifecycle;
mod memory;
mod overlap;
mod panics;
mod races;
mod reentrancy;
mod reports;
mod rollout;
mod runtimes;
mod schedules;
mod scopes;
mod shared_errors;
mod shutdown;
mod spans;
mod started_after_call;
mod stats;
mod support;
mod takeover;
mod thread_ends;
mod tracing;
mod wait_timeout;
mod wait_timers;
