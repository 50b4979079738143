//! A page that a hundred readers keep reading: while its cache entry expires, and while it is edited.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{Scenario, direct_sample};
use crate::{
    Fallible,
    arm::Arm,
    burst::Burst,
    claims::count,
    clients::Clients,
    environment::{Environment, bar},
    load::Load,
    pool::Pool,
    report::{Report, human},
    server::Server,
    source::Source,
    wait::eventually,
};

const READERS: usize = 100;
/// Some times to live.
const READING: Duration = Duration::from_millis(500);
const EDITS: usize = 4;
/// Longer than a query: some reads meet a loaded page, some meet a load.
const BETWEEN_EDITS: Duration = Duration::from_millis(100);

pub(super) async fn run(environment: &Environment) -> Fallible<Report> {
    let readers = environment.requests(READERS);
    let headline = format!("a page that {readers} readers keep reading: it expires, and then it is edited");
    let mut report = Report::new(Scenario::Cache, headline);
    report.note("the table counts the first part, before the edits");
    for &arm in Scenario::Cache.arms() {
        run_arm(environment, &mut report, arm, readers).await?;
    }
    Ok(report)
}

async fn run_arm(environment: &Environment, report: &mut Report, arm: Arm, all: usize) -> Fallible<()> {
    let readers = if arm == Arm::Direct { direct_sample(Scenario::Cache.weight(), all) } else { all };
    let post = environment.post(Scenario::Cache, arm)?;
    let pool = environment.pool()?;
    let server = Server::start(arm, Source::Database(pool.clone())).await?;
    let clients = Arc::new(Clients::connect(server.address(), readers).await?);
    let bar = bar(Scenario::Cache, arm, 2);

    server.fill(post.id, post.page.clone()).await;
    let burst = read_on(&server, arm, Load::start(&clients, readers, &post)).await?;
    bar.inc(1);
    let stats = server.stats().await?;
    report.claims.check_answers(arm, &burst);
    let (queries, peak) = (pool.queries().total(), pool.queries().peak());
    let text = format!("{} for {} requests", count(queries, "query", "queries"), burst.requests());
    match arm {
        Arm::Direct => report.claims.check(arm, queries == burst.requests(), text),
        Arm::Coalesced => {
            let holds = queries as u64 <= stats.executions && peak <= 1;
            report.claims.check(arm, holds, format!("{text}, and never two at once"));
        }
        Arm::Cached => {
            let stats = server.cache_stats();
            let holds = queries as u64 <= stats.refreshes && peak <= 1;
            report.claims.check(arm, holds, format!("{text}: one for each expiry, and never two at once"));
            let text =
                format!("no reader waited: {} got a fresh page, {} an expired one", stats.hits, stats.stale_hits);
            report.claims.check(arm, stats.misses == 0, text);
        }
    }
    report.add(arm, readers < all, pool.queries(), &stats, burst);

    edit_meanwhile(report, arm, &pool, Load::start(&clients, (readers / 5).max(1), &post)).await?;
    bar.finish_and_clear();
    drop(clients);
    server.stop().await
}

/// Until the page's entry has expired, where there is one.
async fn read_on(server: &Server, arm: Arm, load: Load) -> Fallible<Burst> {
    sleep(READING).await;
    if arm == Arm::Cached && !eventually(async || server.cache_stats().refreshes > 0).await {
        return Err("the cache entry doesn't expire".into());
    }
    Ok(load.stop().await)
}

/// Edits the page a few times under its readers. What they get has to be as new as the last edit that was confirmed before they
/// asked.
async fn edit_meanwhile(report: &mut Report, arm: Arm, pool: &Pool, load: Load) -> Fallible<()> {
    let queries_before = pool.queries().total();
    for _ in 0..EDITS {
        sleep(BETWEEN_EDITS).await;
        load.edit().await?;
    }
    sleep(BETWEEN_EDITS).await;
    let burst = load.stop().await;
    let (reads, queries) = (burst.requests(), pool.queries().total() - queries_before);
    let (p50, p99) = (human(burst.percentile(50)), human(burst.percentile(99)));
    report
        .note(format!("{arm}, while the page is edited: {queries} queries for {reads} requests, p50 {p50}, p99 {p99}"));
    let mut text =
        format!("{EDITS} edits, {reads} requests: {} got an edition older than the last one before them", burst.stale);
    if let Some(wrong) = &burst.first_wrong {
        text = format!("{text}; one got something else: {wrong}");
    }
    report.claims.check(arm, burst.right == reads, text);
    Ok(())
}
