//! A coalescer and a cache under load, with the live page about them: open the address that it prints.
//!
//! `cargo run --release -p dashboard` runs until it is interrupted, and `--seconds 10` for so long.

mod load;

use std::{error::Error, net::SocketAddr, process::ExitCode, time::Duration};

use axum::Router;
use clap::Parser;
use shardflight::{
    Coalescer,
    cache::Cache,
    dashboard::{Action, Dashboard},
};
use tokio::{
    net::TcpListener,
    signal::ctrl_c,
    sync::watch,
    time::{sleep, timeout},
};

/// Shows the live page about a coalescer and a cache under load.
#[derive(Debug, Parser)]
#[command(name = "dashboard")]
struct Arguments {
    /// The address to listen on; the page has no authentication, so a local one
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// How many callers there are
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    callers: u16,
    /// End after this many seconds; by default it runs until it is interrupted
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dashboard: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(Arguments { listen, callers, seconds }: Arguments) -> Result<(), Box<dyn Error>> {
    let orders = Coalescer::<u64, Result<String, String>>::builder()
        .describe(|order| format!("order {order}"))
        .profile(64)
        .max_waiters_per_flight(40)
        .max_flight_duration(Duration::from_secs(10))
        .build()?;
    let prices = Cache::<u64, u64, String>::builder()
        .ttl(Duration::from_millis(500))
        .stale_while_revalidate(Duration::from_millis(200))
        .coalescer(|coalescer| coalescer.describe(|item| format!("price of {item}")).profile(64))
        .build()?;

    let (stop, stopped) = watch::channel(());
    let ends = |mut stopped: watch::Receiver<()>| async move { drop(stopped.changed().await) };
    let dashboard = Dashboard::builder()
        .coalescer("orders", &orders.handle())
        .cache("prices", &prices.handle())
        .allow_actions(Action::ALL.iter().copied())
        // Or the server would wait for open pages when it ends.
        .end_on(ends(stopped.clone()))
        .build()?;

    let listener = TcpListener::bind(listen).await.map_err(|error| format!("can't listen on {listen}: {error}"))?;
    println!("the page is at http://{}/flights", listener.local_addr()?);
    let app = Router::new().nest_service("/flights", dashboard.router());
    let serving = axum::serve(listener, app).with_graceful_shutdown(ends(stopped));
    let server = tokio::spawn(async move { serving.await });

    tokio::select! {
        () = load::run(orders.handle(), prices.handle(), callers) => {}
        () = sleep(seconds.map_or(Duration::MAX, Duration::from_secs)) => {}
        interrupted = ctrl_c() => interrupted?,
    }
    stop.send_replace(());
    timeout(Duration::from_secs(5), server).await??.map_err(Into::into)
}
