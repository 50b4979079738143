//! A small axum service behind `CoalesceLayer`.
//!
//! `cargo run --release -p http-service` sends itself requests of many clients, and prints how often each handler ran for them.
//! It fails if a client gets a response that is specific to another.
//!
//! `cargo run --release -p http-service -- --serve 127.0.0.1:8080` serves. Then, from another terminal:
//!
//! ```sh
//! curl http://127.0.0.1:8080/posts/7                              # half a second
//! oha -n 2000 -c 200 http://127.0.0.1:8080/posts/7                # or: wrk -c 200 -d 5 http://127.0.0.1:8080/posts/7
//! curl http://127.0.0.1:8080/counts                               # requests against calls of the handler
//!
//! curl -H 'Authorization: alice' http://127.0.0.1:8080/me         # has credentials: never shared by default
//! oha -n 200 -c 200 -H 'Authorization: alice' http://127.0.0.1:8080/account # shared among alice's requests: her token is in the key
//! curl -N http://127.0.0.1:8080/film -o film                      # 4 MiB, over the cap: streamed to all clients from one call
//! ```

mod clients;
mod counts;
mod site;

use std::{error::Error, net::SocketAddr, process::ExitCode};

use axum::serve::ListenerExt;
use clap::Parser;
use tokio::net::TcpListener;

use crate::site::Site;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A service behind a layer that coalesces.
#[derive(Debug, Parser)]
struct Arguments {
    /// Serve at this address until interrupted, instead of sending requests to itself
    #[arg(long, value_name = "ADDRESS")]
    serve: Option<SocketAddr>,
    /// How many clients request each page at once
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(2..=10_000))]
    clients: u64,
}

async fn run(arguments: Arguments) -> Fallible<()> {
    let site = Site::new();
    let listener = TcpListener::bind(arguments.serve.unwrap_or(([127, 0, 0, 1], 0).into())).await?;
    let address = listener.local_addr()?;
    // Without it, responses wait for the acknowledgement of earlier ones, which the clients' kernel delays by 40 ms.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let serving = axum::serve(listener, site.router());
    if arguments.serve.is_some() {
        println!("serving at http://{address}; counts of requests and calls are at http://{address}/counts");
        return Ok(serving.await?);
    }
    tokio::select! {
        served = serving.into_future() => Ok(served?),
        result = clients::run(&site, address, arguments.clients) => result,
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http: {error}");
            ExitCode::FAILURE
        }
    }
}
