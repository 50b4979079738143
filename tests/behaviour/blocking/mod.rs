//! Callers on plain threads, and work that blocks its thread.

mod callers;
mod contexts;
mod nested;
mod results;
mod work;

use shardflight::{Coalescer, Handle};
use tokio::runtime::Runtime;

use crate::support::inside;

fn handle_on(runtime: &Runtime) -> Handle<i32, i32> {
    inside(runtime, || Coalescer::builder().shards(2).build().unwrap().handle())
}
