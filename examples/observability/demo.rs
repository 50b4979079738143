//! A bounded load, and a comparison of the exported metrics with the stats.

use std::{net::Ipv4Addr, time::Duration};

use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};

use crate::{
    Fallible, exporter,
    load::{self, Answers},
    service::Service,
};

const CLIENTS: u16 = 50;
const CALLS: u32 = 20;

/// Generous: the load takes a few seconds.
const LIMIT: Duration = Duration::from_mins(2);

pub(crate) async fn run() -> Fallible<()> {
    timeout(LIMIT, load_and_compare()).await.map_err(|_| format!("didn't end within {LIMIT:?}"))?
}

async fn load_and_compare() -> Fallible<()> {
    let service = Service::new(exporter::install()?)?;
    let users = service.users().clone();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(service.serve(listener));
    let Answers { responses, hung_up } = load::run(address, CLIENTS, CALLS).await?;
    println!("{CLIENTS} clients made {} calls: {responses} responses, {hung_up} hung up", responses + hung_up);

    // Disconnected clients may still be leaving, and the next report follows within a second.
    let mut exported = String::new();
    let mut joins = None;
    while joins.is_none_or(|joins| total(&exported, "shardflight_joins_total") != joins) {
        sleep(Duration::from_millis(100)).await;
        let stats = users.stats().await?;
        joins = (stats.flights == 0).then_some(stats.joins);
        exported = reqwest::get(format!("http://{address}/metrics")).await?.text().await?;
    }
    server.abort();
    compare(&exported, &users.stats().await?)
}

fn compare(exported: &str, stats: &shardflight::Stats) -> Fallible<()> {
    for (name, counted) in [
        ("shardflight_joins_total", stats.joins),
        ("shardflight_executions_total", stats.executions),
        ("shardflight_coalesced_total", stats.coalesced),
        ("shardflight_errors_total", stats.errors),
        ("shardflight_timeouts_total", stats.timeouts),
        ("shardflight_rejections_total", stats.rejections),
        ("shardflight_departures_total", stats.departures),
        ("shardflight_flight_duration_seconds_count", stats.executions),
    ] {
        let exported = total(exported, name);
        println!("{name:<42} {exported:>6}");
        if exported != counted {
            return Err(format!("{name} is {exported}, but the stats have {counted}").into());
        }
    }
    println!("of 100 joins, {:.0} shared another caller's flight", 100.0 * stats.coalescing_rate());
    if stats.coalesced == 0 {
        return Err("nothing was coalesced, though the load has identical requests".into());
    }
    Ok(())
}

/// The sum over all labels.
fn total(exported: &str, name: &str) -> u64 {
    let samples = exported.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
    samples.filter(|(labels, _)| labels.starts_with('{')).filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
}
