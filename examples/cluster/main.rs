//! Four replicas over one Redis: `cargo run --release -p cluster`.
//!
//! Starts a redis-server, a slow backend that counts, and four replicas of a service, which are processes of this program. Users stampede
//! six times: with each replica by itself, across the cluster, while the leader gets a `kill -9`, while Redis is stopped, while the
//! breakers are open, and when Redis is back. The table at the end has what they saw.
//!
//! Lines with a tick are claims that were checked; the program fails if one doesn't hold. It takes some 15 s, and three minutes at most.
//! Whatever ends it, what it started ends with it.

mod act;
mod backend;
mod bars;
mod claims;
mod fleet;
mod keep;
mod play;
mod protocol;
mod replica;
mod server;
mod table;
mod tally;

use std::{error::Error, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand, value_parser};
use tokio::time::timeout;

use crate::play::{Play, Played};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// For a machine that is slow and busy.
const LIMIT: Duration = Duration::from_mins(3);

/// Shows what users of four replicas see when they stampede, when a leader dies, and when Redis stops.
#[derive(Debug, Parser)]
#[command(name = "cluster")]
struct Arguments {
    /// Requests at once for each page at each replica
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = value_parser!(u32).range(1..=1_000))]
    callers: u32,
    /// The server to start: redis-server or valkey-server
    #[arg(long, value_name = "PROGRAM", default_value = "redis-server")]
    server: String,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What this program runs as when it starts itself.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
enum Role {
    #[command(hide = true)]
    Replica(replica::Replica),
    #[command(hide = true)]
    Keep(keep::Keep),
}

async fn direct(arguments: &Arguments) -> Fallible<Played> {
    let mut play = Play::prepare(&arguments.server, arguments.callers).await?;
    let played = play.run().await?;
    play.end().await?;
    Ok(played)
}

async fn run(arguments: Arguments) -> Fallible<()> {
    match arguments.role {
        Some(Role::Replica(replica)) => return replica::run(replica).await,
        Some(Role::Keep(keep)) => return keep::run(&keep),
        None => {}
    }
    let played = tokio::select! {
        played = timeout(LIMIT, direct(&arguments)) => played.map_err(|_| format!("it took more than {LIMIT:?}"))??,
        // Returns instead of exiting, so that all processes are ended.
        _ = tokio::signal::ctrl_c() => return Err("interrupted".into()),
    };
    println!("\n{}", table::table(&played.acts));
    println!(
        "lost: of the replica that was killed. executions: at the backend. led to fail-opens: flights, of the tier."
    );
    let broken: Vec<_> = played.claims.iter().filter(|claim| !claim.holds).map(ToString::to_string).collect();
    if broken.is_empty() { Ok(()) } else { Err(format!("these don't hold:\n{}", broken.join("\n")).into()) }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cluster: {error}");
            ExitCode::FAILURE
        }
    }
}
