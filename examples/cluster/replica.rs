//! A replica of the service: a process that does what its standard input says, and ends with it.

use std::{
    io::{BufRead, Write, stdin, stdout},
    net::SocketAddr,
    process, thread,
    time::Instant,
};

use clap::Args;
use shardflight::{
    Coalescer,
    redis::{Cluster, ClusterHandle},
};
use tokio::{sync::mpsc, time::sleep};

use crate::{
    Fallible,
    act::{LEASE, OP_TIMEOUT},
    backend::{is_content, query},
    fleet::INTERVAL,
    protocol::{Ask, Numbers, Order, Report},
};

type Pages = ClusterHandle<String, Result<String, String>>;

#[derive(Debug, Args)]
pub(crate) struct Replica {
    #[arg(long)]
    pub(crate) number: u32,
    #[arg(long)]
    pub(crate) backend: SocketAddr,
    /// Redis' URL
    #[arg(long)]
    pub(crate) redis: String,
}

pub(crate) async fn run(replica: Replica) -> Fallible<()> {
    // This is all that a service has to do to have the tier.
    let cluster = Cluster::builder(replica.redis.as_str())
        .namespace("example-pages")
        .lease(LEASE)
        .op_timeout(OP_TIMEOUT)
        .build()?;
    let pages: Pages = Coalescer::new().handle().across(cluster);

    let mut orders = listen();
    // It connects with the first flight, which may take longer than an op_timeout.
    while !pages.cluster().stats().is_connected {
        let _ = pages.join("nothing", || async { Ok(String::new()) }).await;
        sleep(INTERVAL).await;
    }
    report(&Report::Ready);
    while let Some(order) = orders.recv().await {
        match order {
            Order::Ask(ask) => stampede(&replica, &pages, &ask),
            Order::Count => {
                let callers = pages.local().stats().await?.waiters;
                report(&Report::Counted(Numbers::of(&pages.cluster().stats(), callers)));
            }
        }
    }
    Ok(())
}

/// On a thread of its own, which ends the process when the director is gone, whatever else it is at.
fn listen() -> mpsc::UnboundedReceiver<Order> {
    let (sender, orders) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(order) => drop(sender.send(order)),
                Err(error) => eprintln!("replica: {error}: {line}"),
            }
        }
        process::exit(0);
    });
    orders
}

fn stampede(replica: &Replica, pages: &Pages, ask: &Ask) {
    let began = Instant::now();
    for page in (0..ask.pages).map(|number| format!("{}: page {number}", ask.act)) {
        for _ in 0..ask.callers {
            let answer = call(replica, pages, ask, page.clone());
            tokio::spawn(async move {
                let error = answer.await.err();
                let microseconds = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                report(&Report::Answered { microseconds, error });
            });
        }
    }
}

/// One request of one user.
fn call(
    replica: &Replica,
    pages: &Pages,
    ask: &Ask,
    page: String,
) -> impl Future<Output = Result<(), String>> + Send + use<> {
    let (backend, number, milliseconds, across) = (replica.backend, replica.number, ask.milliseconds, ask.across);
    let (pages, name) = (pages.clone(), page.clone());
    let work = move || query(backend, number, milliseconds, name);
    async move {
        let answer = if across {
            pages.try_join(page.as_str(), work).await
        } else {
            pages.local().try_join(page.as_str(), work).await
        };
        match answer {
            Ok(content) if is_content(&content, &page) => Ok(()),
            Ok(content) => Err(format!("{content:?} for {page}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn report(report: &Report) {
    let Ok(mut line) = serde_json::to_string(report) else { return };
    line.push('\n');
    let mut out = stdout().lock();
    // Fails if the director is gone, of which the other thread hears.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}
