//! What a waiting caller and a key in flight hold, in bytes: `cargo bench -p benches --bench memory`.
//!
//! One thread; an allocator counts live bytes. The result is the difference before and after, divided by the number of
//! calls. Calls are boxed, so that their futures are counted. Work is pending and holds nothing of its own. Numbers differ
//! between runs only by what random hashes do to the maps.

#[path = "../race/choice.rs"]
mod choice;
#[path = "../race/command.rs"]
mod command;
#[path = "../race/contenders.rs"]
mod contenders;
mod report;
#[path = "../race/table.rs"]
mod table;
#[path = "../race/verdict.rs"]
mod verdict;

use std::{
    future::{Future, pending},
    path::PathBuf,
    pin::Pin,
    process::ExitCode,
};

use clap::Parser;
use futures::poll;
use peak_alloc::PeakAlloc;
use tokio::{runtime, task::yield_now};

use crate::{
    choice::choose,
    command::{Fallible, write_json},
    contenders::{Contender, Visitor, field},
    report::Held,
};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const CALLS: usize = 10_000;
/// Tasks that call yield in between, which keeps queues as short as they are in a service.
const IN_A_ROW: usize = 32;

/// What a waiting caller and a key in flight hold with ours and with the peers, side by side.
#[derive(Debug, Parser)]
#[command(name = "memory")]
struct Arguments {
    /// Contenders by name, or by a part of their names
    #[arg(long, value_name = "CONTENDER,...", value_delimiter = ',')]
    only: Vec<String>,
    /// Writes what was measured and the bars there
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Cargo's own
    #[arg(long, hide = true)]
    bench: bool,
}

struct Measurer;

impl Visitor for Measurer {
    type Output = fn() -> Held;
    fn visit<C: Contender>(&self) -> fn() -> Held {
        held::<C>
    }
}

fn held<C: Contender>() -> Held {
    let (waiter, future) = bytes::<C>(|_| 7);
    let (key, _) = bytes::<C>(|index| index as u64);
    Held { waiter, future, key }
}

/// Live bytes per call, and how many of them are the call's own future.
fn bytes<C: Contender>(key: fn(usize) -> u64) -> (f64, usize) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let contender = C::enter();
        // The first call initialises what is lazy.
        contender.call(u64::MAX, || async { 0 }).await;
        rest().await;
        let mut calls = Vec::with_capacity(CALLS);
        let before = ALLOCATOR.current_usage();
        for index in 0..CALLS {
            if index % IN_A_ROW == 0 {
                yield_now().await;
            }
            let mut call = Box::pin(contender.call(key(index), pending));
            assert!(poll!(call.as_mut()).is_pending(), "work that never ends");
            calls.push(call);
        }
        contender.settled(CALLS).await;
        rest().await;
        let held = ALLOCATOR.current_usage() - before;
        (held as f64 / CALLS as f64, size(&calls))
    })
}

fn size<F: Future>(calls: &[Pin<Box<F>>]) -> usize {
    calls.first().map_or(0, |call| size_of_val(&**call))
}

/// Until tasks that were just spawned have been polled.
async fn rest() {
    for _ in 0..IN_A_ROW {
        yield_now().await;
    }
}

fn run(arguments: &Arguments) -> Fallible<()> {
    let measurers = choose("--only", field(&Measurer), |(facts, _)| &facts.name, &arguments.only)?;
    let measured: Vec<_> = measurers.into_iter().map(|(facts, held)| (facts, held())).collect();
    println!("\n{}", report::text(&measured));
    if let Some(path) = &arguments.json {
        write_json(path, &report::json(&measured))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    command::main(run)
}
