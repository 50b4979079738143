//! A coalesced backend that fails in all the ways that backends do: `cargo run --release -p resilience`.
//!
//! Inside the coalescer's work stand, from the outside in, a fallback, retries with a budget, a breaker, a limit and a timeout. Each
//! act shows what one of them does there, and some what it does elsewhere. Lines with a tick are claims that were checked; one that
//! doesn't hold ends the program with an error.

mod acts;
mod attempts;
mod backend;
mod callers;
mod calls;
#[path = "../operations/claim.rs"]
mod claim;
mod failure;
mod fallback;
mod page;
mod scene;

use std::{error::Error, process::ExitCode};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    match acts::run().await {
        Ok(()) => {
            println!("\nEvery claim holds.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("resilience: {error}");
            ExitCode::FAILURE
        }
    }
}
