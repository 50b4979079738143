//! A bounded load, and a comparison of the exported metrics with the stats.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use shardflight::{
    Stats,
    cache::{CacheStats, RejectReason, StaleReason},
};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep, timeout},
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

/// For the numbers to agree after the load.
const REPORT_LIMIT: Duration = Duration::from_mins(1);

const USERS: &str = "coalescer=\"users\"";
const PROFILES: &str = "coalescer=\"profiles\"";

pub(crate) async fn run() -> Fallible<()> {
    timeout(LIMIT, load_and_compare()).await.map_err(|_| format!("didn't end within {LIMIT:?}"))?
}

async fn load_and_compare() -> Fallible<()> {
    let service = Service::new(exporter::install()?)?;
    let (users, profiles) = (service.users().clone(), service.profiles().clone());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(service.serve(listener));
    let Answers { responses, hung_up } = load::run(address, CLIENTS, CALLS).await?;
    println!("{CLIENTS} clients made {} calls: {responses} responses, {hung_up} hung up", responses + hung_up);

    // Disconnected clients may still be leaving, and a report follows each second.
    let end = Instant::now() + REPORT_LIMIT;
    let (users, profiles) = loop {
        sleep(Duration::from_millis(100)).await;
        let exported = fetch(address).await?;
        let (users, profiles) = (users.stats().await?, profiles.stats());
        let rows: Vec<_> = user_rows(&exported, &users).chain(profile_rows(&exported, &profiles)).collect();
        let different = rows.iter().find(|row| row.exported != row.counted);
        if different.is_some() && Instant::now() < end {
            continue;
        }
        rows.iter().for_each(|row| println!("{row}"));
        match different {
            None => break (users, profiles),
            Some(row) => return Err(format!("the stats have {}: {row}", row.counted).into()),
        }
    };
    server.abort();
    println!("each number is exported as `stats()` has it");
    println!("of 100 joins, {:.0} shared another caller's flight", 100.0 * users.coalescing_rate());
    println!("of 100 reads of the cache, {:.0} waited for no load", 100.0 * profiles.hit_rate());
    if users.coalesced == 0 {
        return Err("nothing was coalesced, though the load has identical requests".into());
    }
    if profiles.hits == 0 || profiles.stale_hits == 0 {
        return Err("the cache had nothing, though the load has repeated requests".into());
    }
    Ok(())
}

/// One number, as it is exported and as `stats()` has it.
struct Row {
    name: String,
    exported: u64,
    counted: u64,
}

impl Row {
    fn new(exported: &str, name: &str, labels: &[&str], counted: u64) -> Self {
        Self { name: format!("{name}{{{}}}", labels.join(",")), exported: total(exported, name, labels), counted }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<72} {:>6}", self.name, self.exported)
    }
}

async fn fetch(service: SocketAddr) -> Fallible<String> {
    Ok(reqwest::get(format!("http://{service}/metrics")).await?.text().await?)
}

fn user_rows(exported: &str, stats: &Stats) -> impl Iterator<Item = Row> {
    [
        ("shardflight_flights", stats.flights as u64),
        ("shardflight_joins_total", stats.joins),
        ("shardflight_executions_total", stats.executions),
        ("shardflight_coalesced_total", stats.coalesced),
        ("shardflight_errors_total", stats.errors),
        ("shardflight_timeouts_total", stats.timeouts),
        ("shardflight_rejections_total", stats.rejections),
        ("shardflight_departures_total", stats.departures),
        ("shardflight_flight_duration_seconds_count", stats.executions),
    ]
    .into_iter()
    .map(|(name, counted)| Row::new(exported, name, &[USERS], counted))
}

fn profile_rows(exported: &str, stats: &CacheStats) -> impl Iterator<Item = Row> {
    let numbers = [
        ("shardflight_flights", 0),
        ("shardflight_executions_total", stats.loads),
        ("shardflight_cache_hits_total", stats.hits),
        ("shardflight_cache_stale_hits_total", stats.stale_hits),
        ("shardflight_cache_negative_hits_total", stats.negative_hits),
        ("shardflight_cache_misses_total", stats.misses),
        ("shardflight_cache_loads_total", stats.loads),
        ("shardflight_cache_load_errors_total", stats.load_errors),
        ("shardflight_cache_refreshes_total", stats.refreshes),
        ("shardflight_cache_fail_safe_total", stats.fail_safe),
        ("shardflight_cache_evictions_total", stats.evictions),
        ("shardflight_cache_entries", stats.entries as u64),
        ("shardflight_cache_weight", stats.weight),
        ("shardflight_cache_load_duration_seconds_count", stats.loads),
    ];
    let numbers = numbers.into_iter().map(|(name, counted)| Row::new(exported, name, &[PROFILES], counted));
    let stale = StaleReason::ALL.iter().map(|&reason| {
        let labels = [PROFILES, &format!("reason=\"{reason}\"")];
        Row::new(exported, "shardflight_cache_stale_reads_total", &labels, stats.stale_by(reason))
    });
    let rejected = RejectReason::ALL.iter().map(|&reason| {
        let labels = [PROFILES, &format!("reason=\"{reason}\"")];
        Row::new(exported, "shardflight_cache_rejected_fills_total", &labels, stats.rejected_by(reason))
    });
    numbers.chain(stale).chain(rejected)
}

/// The sum over all series that have these labels.
fn total(exported: &str, name: &str, labels: &[&str]) -> u64 {
    let samples = exported.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} "));
    let selected =
        samples.filter(|(present, _)| labels.iter().all(|label| present.split(',').any(|one| one == *label)));
    selected.filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
}
