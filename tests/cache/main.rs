//! Behaviour tests of `shardflight::cache`, one behaviour per test.
//!
//! Unless a test is about threads, the clock is paused: boundaries are exact, and no test sleeps to wait for something. Gates hold
//! loads back.

mod bounds;
mod expiry;
mod extremes;
mod failures;
mod fills;
mod hostile;
mod hostile_errors;
mod invalidation;
mod options;
mod overlaps;
mod reads;
mod stale;
mod stress;
mod support;
mod tags;
mod telling;
mod waits;
