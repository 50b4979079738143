//! A cache entry expires under a hundred readers.

use std::{sync::Arc, time::Duration};

use indicatif::ProgressBar;

use super::{Scenario, direct_sample};
use crate::{
    Fallible,
    arm::Arm,
    burst::Burst,
    cache::Cache,
    clients::Clients,
    environment::{Environment, bar},
    report::Report,
    server::Server,
    source::Source,
    wait::eventually,
};

const READERS: usize = 100;
const TIME_TO_LIVE: Duration = Duration::from_secs(1);

pub(super) async fn run(environment: &Environment) -> Fallible<Report> {
    let readers = environment.requests(READERS);
    let mut report = Report::new(Scenario::Cache, format!("a cache entry expires under {readers} readers"));
    report.note("the table counts from the expiry on");
    for arm in Arm::BOTH {
        run_arm(environment, &mut report, arm, readers).await?;
    }
    Ok(report)
}

async fn run_arm(environment: &Environment, report: &mut Report, arm: Arm, all: usize) -> Fallible<()> {
    let readers = if arm == Arm::Direct { direct_sample(Scenario::Cache.weight(), all) } else { all };
    let post = environment.post(Scenario::Cache, arm)?;
    let pool = environment.pool()?;
    let cache = Arc::new(Cache::new(TIME_TO_LIVE));
    let server = Server::start(arm, Source::Cached { cache: Arc::clone(&cache), pool: pool.clone() }).await?;
    let clients = Clients::connect(server.address(), readers).await?;
    let bar = bar(Scenario::Cache, arm, readers);

    cache.put(post.id, post.page.clone());
    Burst::run(&clients, readers, post.id, &post.page, &ProgressBar::hidden()).await;
    let is_fresh = cache.get(post.id).is_some();
    if is_fresh {
        let text = format!("no query for {readers} readers while the entry is fresh");
        report.claims.check(arm, pool.queries().total() == 0, text);
    }
    if !eventually(async || cache.get(post.id).is_none()).await {
        return Err("the cache entry doesn't expire".into());
    }
    let burst = Burst::run(&clients, readers, post.id, &post.page, &bar).await;
    bar.finish_and_clear();

    let stats = server.stats().await?;
    let queries = pool.queries();
    report.claims.check_answers(arm, &burst);
    match arm {
        Arm::Direct => {
            let text = format!("{} queries: each reader that came before the first query ended", queries.total());
            report.claims.check(arm, queries.total() > 1, text);
        }
        Arm::Coalesced => report.claims.check_windows(readers, queries, &stats),
    }
    report.add(arm, readers < all, queries, &stats, burst);
    drop(clients);
    server.stop().await
}
