//! A small service that coalesces a slow query and exports what it does to Prometheus: see README.md beside this file.
//!
//! `cargo run --release -p observability` serves until it is interrupted, under some load of its
//! own making; with `--demo` it plays a bounded load, checks what came of it and ends.

mod demo;
mod exporter;
mod load;
mod query;
mod service;

use std::{error::Error, net::SocketAddr, process::ExitCode};

use clap::Parser;
use tokio::{net::TcpListener, signal::ctrl_c};

use crate::service::Service;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Serves a slow query, coalesced, with metrics at `/metrics`.
#[derive(Debug, Parser)]
#[command(name = "observability")]
struct Arguments {
    /// Where to listen; with `--demo`, any free port of this machine's own
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// How many clients call the service in turn while it serves; none, and it waits for yours
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(..=1_000))]
    clients: u16,
    /// Play a bounded load, say what came of it, and end
    #[arg(long)]
    demo: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let run = if arguments.demo { demo::play().await } else { serve(&arguments).await };
    match run {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("observability: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(Arguments { listen, clients, .. }: &Arguments) -> Fallible<()> {
    let service = Service::new(exporter::install()?)?;
    let listener = TcpListener::bind(listen).await.map_err(|error| format!("can't listen on {listen}: {error}"))?;
    let address = listener.local_addr()?;
    println!("http://{address}/users/7 asks the slow database, http://{address}/metrics shows what that came to");
    tokio::select! {
        served = service.serve(listener) => served,
        // An unspecified address is one to listen on, not to call.
        load = load::go_on(([127, 0, 0, 1], address.port()).into(), *clients) => load,
        interrupted = ctrl_c() => Ok(interrupted?),
    }
}
