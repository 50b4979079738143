//! A small service that coalesces a slow query, caches another, and exports metrics to Prometheus: see README.md beside this file.
//!
//! `cargo run --release -p observability` serves until it is interrupted, under load of its own
//! clients; with `--demo` it runs a bounded load, checks the exported metrics and ends.

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

/// Serves a slow query, coalesced, and another, cached, with metrics at `/metrics`.
#[derive(Debug, Parser)]
#[command(name = "observability")]
struct Arguments {
    /// The address to listen on; ignored with `--demo`, which takes a free local port
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// How many built-in clients send requests to the service
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(..=1_000))]
    clients: u16,
    /// Run a bounded load, check the exported metrics, and end
    #[arg(long)]
    demo: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let run = if arguments.demo { demo::run().await } else { serve(&arguments).await };
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
    println!("http://{address}/users/7 and http://{address}/profiles/7 query the slow database");
    println!("http://{address}/metrics has the metrics");
    tokio::select! {
        served = service.serve(listener) => served,
        // Clients can't connect to an unspecified address such as 0.0.0.0.
        load = load::run_forever(([127, 0, 0, 1], address.port()).into(), *clients) => load,
        interrupted = ctrl_c() => Ok(interrupted?),
    }
}
