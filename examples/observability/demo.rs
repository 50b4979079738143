//! A bounded load, and a comparison of the exported metrics with the stats.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use shardflight::{
    Stats,
    cache::{CacheStats, RejectReason, StaleReason},
};
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

    // Disconnected clients may still be leaving, and the next report follows within a second.
    let exported = loop {
        sleep(Duration::from_millis(100)).await;
        let exported = fetch(address).await?;
        let stats = users.stats().await?;
        let users_agree = stats.flights == 0 && stats.joins == total(&exported, "shardflight_joins_total", &[USERS]);
        let loads_agree = total(&exported, "shardflight_flights", &[PROFILES]) == 0
            && profiles.stats().loads == total(&exported, "shardflight_executions_total", &[PROFILES])
            && profiles.stats().loads == total(&exported, "shardflight_cache_loads_total", &[PROFILES]);
        if users_agree && loads_agree {
            break exported;
        }
    };
    server.abort();
    compare_users(&exported, &users.stats().await?)?;
    compare_profiles(&exported, &profiles.stats())?;
    println!("each number is exported as `stats()` has it");
    Ok(())
}

async fn fetch(service: SocketAddr) -> Fallible<String> {
    Ok(reqwest::get(format!("http://{service}/metrics")).await?.text().await?)
}

fn compare_users(exported: &str, stats: &Stats) -> Fallible<()> {
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
        compare(exported, name, &[USERS], counted)?;
    }
    println!("of 100 joins, {:.0} shared another caller's flight", 100.0 * stats.coalescing_rate());
    if stats.coalesced == 0 {
        return Err("nothing was coalesced, though the load has identical requests".into());
    }
    Ok(())
}

fn compare_profiles(exported: &str, stats: &CacheStats) -> Fallible<()> {
    for (name, counted) in [
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
    ] {
        compare(exported, name, &[PROFILES], counted)?;
    }
    for &reason in StaleReason::ALL {
        let labels = [PROFILES, &format!("reason=\"{reason}\"")];
        compare(exported, "shardflight_cache_stale_reads_total", &labels, stats.stale_by(reason))?;
    }
    for &reason in RejectReason::ALL {
        let labels = [PROFILES, &format!("reason=\"{reason}\"")];
        compare(exported, "shardflight_cache_rejected_fills_total", &labels, stats.rejected_by(reason))?;
    }
    println!("of 100 reads of the cache, {:.0} waited for no load", 100.0 * stats.hit_rate());
    if stats.hits == 0 || stats.stale_hits == 0 {
        return Err("the cache had nothing, though the load has repeated requests".into());
    }
    Ok(())
}

fn compare(exported: &str, name: &str, labels: &[&str], counted: u64) -> Fallible<()> {
    let exported = total(exported, name, labels);
    println!("{:<72} {exported:>6}", format!("{name}{{{}}}", labels.join(",")));
    if exported != counted {
        return Err(format!("{name} is {exported}, but the stats have {counted}").into());
    }
    Ok(())
}

/// The sum over all series that have these labels.
fn total(exported: &str, name: &str, labels: &[&str]) -> u64 {
    let samples = exported.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} "));
    let selected =
        samples.filter(|(present, _)| labels.iter().all(|label| present.split(',').any(|one| one == *label)));
    selected.filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
}
