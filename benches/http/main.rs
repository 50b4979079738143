//! What the layer costs a trivial handler: `cargo bench -p benches --bench http`.
//!
//! An axum server on a runtime of its own answers keep-alive connections over loopback: with the layer as it is, with one whose
//! calls run in place, and without. Each
//! connection sends its next request when it has the response to the last one. The table holds requests per second with the
//! layer, divided by those without it, in interleaved rounds of one process.

#[path = "../race/command.rs"]
mod command;
#[path = "../race/median.rs"]
mod median;
#[path = "../race/table.rs"]
mod table;

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use clap::{Parser, value_parser};
use serde_json::{Value, json};
use shardflight::{Coalescer, OnAbandon, RunWork, tower::CoalesceLayer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{self, Runtime},
    task::JoinSet,
};

use crate::{
    command::{Fallible, write_json},
    median::median,
    table::table,
};

const UNFAILING: &str = "nothing here fails";
const CONNECTIONS: [usize; 2] = [64, 256];
/// Requests per second with the layer, divided by those without it: at least.
const BAR: f64 = 0.9;

/// What the tower layer costs a trivial handler, over real sockets.
#[derive(Debug, Parser)]
#[command(name = "http")]
struct Arguments {
    /// How often each server runs each workload; the table holds the medians
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// How long each run takes
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = value_parser!(u64).range(10..=60_000))]
    milliseconds: u64,
    /// Of the server; the clients have as many
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = value_parser!(u8).range(1..=64))]
    threads: u8,
    /// Writes every sample there
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Cargo's own
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug)]
enum Workload {
    /// All connections ask for one key
    OneKey,
    /// No two requests ask for the same
    UniqueKeys,
}

impl Workload {
    const ALL: [Self; 2] = [Self::OneKey, Self::UniqueKeys];

    fn name(self) -> &'static str {
        match self {
            Self::OneKey => "one-key",
            Self::UniqueKeys => "unique-keys",
        }
    }
}

fn router() -> Router {
    Router::new().route("/{key}", get(async || "text"))
}

fn threads(number: u8) -> Runtime {
    runtime::Builder::new_multi_thread().worker_threads(number.into()).enable_all().build().expect(UNFAILING)
}

/// Its port.
fn serve(runtime: &Runtime, router: Router) -> u16 {
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect(UNFAILING);
    let port = listener.local_addr().expect(UNFAILING).port();
    runtime.spawn(async move { axum::serve(listener, router).await.expect(UNFAILING) });
    port
}

/// Requests per second.
async fn load(port: u16, connections: usize, workload: Workload, time: Duration) -> f64 {
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for connection in 0..connections {
        clients.spawn(client(port, connection, workload, begun + time));
    }
    let answered: u64 = clients.join_all().await.into_iter().sum();
    answered as f64 / begun.elapsed().as_secs_f64()
}

async fn client(port: u16, connection: usize, workload: Workload, end: Instant) -> u64 {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.expect(UNFAILING);
    socket.set_nodelay(true).expect(UNFAILING);
    let mut response = vec![0; 4096];
    let mut answered = 0;
    while Instant::now() < end {
        let key = match workload {
            Workload::OneKey => "key".to_string(),
            Workload::UniqueKeys => format!("{connection}-{answered}"),
        };
        let request = format!("GET /{key} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n");
        socket.write_all(request.as_bytes()).await.expect(UNFAILING);
        let mut length = 0;
        // The whole response: it ends in its body.
        while !response[..length].ends_with(b"\r\n\r\ntext") {
            let read = socket.read(&mut response[length..]).await.expect(UNFAILING);
            assert!(read > 0, "the server closed a connection: {}", String::from_utf8_lossy(&response[..length]));
            length += read;
        }
        answered += 1;
    }
    answered
}

fn verdict(ratios: &[f64]) -> String {
    let ratio = median(ratios).expect("a round or more");
    if ratio >= BAR { format!("{ratio:.2} ≥ {BAR} met") } else { format!("{ratio:.2} < {BAR} MISSED") }
}

fn main() -> ExitCode {
    command::main(run)
}

fn run(arguments: &Arguments) -> Fallible<()> {
    let (servers, clients) = (threads(arguments.threads), threads(arguments.threads));
    let in_place = Coalescer::builder().on_abandon(OnAbandon::Abort).run_work(RunWork::InPlace);
    let in_place = CoalesceLayer::builder().handle(in_place.build_on(servers.handle())?.handle()).build();
    let routers = [router().layer(CoalesceLayer::new()), router().layer(in_place), router()];
    let ports = routers.map(|router| serve(&servers, router));
    let time = Duration::from_millis(arguments.milliseconds);
    let mut report = Vec::new();
    let mut ratios_of = table(1, ["workload", "connections", "layer", "layer, in place"]);
    for connections in CONNECTIONS {
        for workload in Workload::ALL {
            let mut ratios = [Vec::new(), Vec::new()];
            for round in 0..arguments.rounds as usize {
                // Each goes first in turn.
                let mut rates = [0.0; 3];
                for turn in 0..3 {
                    let which = (round + turn) % 3;
                    rates[which] = clients.block_on(load(ports[which], connections, workload, time));
                }
                let [layer, in_place, without] = rates;
                ratios[0].push(layer / without);
                ratios[1].push(in_place / without);
                report.push(json!({
                    "workload": workload.name(), "connections": connections,
                    "layer": layer, "in_place": in_place, "without": without,
                }));
            }
            let [layer, in_place] = ratios.map(|ratios| verdict(&ratios));
            ratios_of.add_row([workload.name(), &connections.to_string(), &layer, &in_place]);
        }
    }
    println!("{ratios_of}");
    if let Some(path) = &arguments.json {
        write_json(path, &Value::from(report))?;
    }
    Ok(())
}
