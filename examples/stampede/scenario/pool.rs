//! A hundred requests for one post, and ten database connections.

use super::{Scenario, direct_sample};
use crate::{
    Fallible,
    arm::Arm,
    claims::count,
    crowd::Crowd,
    report::Report,
    rush::Rush,
    server::Server,
    source::Source,
    stage::{Stage, bar},
};

const REQUESTS: usize = 100;

pub(super) async fn run(stage: &Stage) -> Fallible<Report> {
    let requests = stage.requests(REQUESTS);
    let mut report = Report::new(Scenario::Pool, format!("{requests} requests for one post at once"));
    for arm in Arm::BOTH {
        run_arm(stage, &mut report, arm, requests).await?;
    }
    Ok(report)
}

/// A rush on the database; `viral` is one too.
pub(super) async fn run_arm(stage: &Stage, report: &mut Report, arm: Arm, all: usize) -> Fallible<()> {
    let scenario = report.scenario;
    let requests = match arm {
        Arm::Direct => direct_sample(scenario.weight(), all),
        Arm::Coalesced => all,
    };
    let post = stage.post(scenario, arm)?;
    let pool = stage.pool()?;
    let server = Server::start(arm, Source::Database(pool.clone())).await?;
    let crowd = Crowd::gather(server.address(), requests).await?;
    let bar = bar(scenario, arm, requests);
    let rush = Rush::run(&crowd, requests, post.id, &post.page, &bar).await;
    bar.finish_and_clear();

    let stats = server.stats().await?;
    let queries = pool.queries();
    report.note(format!(
        "{arm}: {requests} requests over {}; at the server at once: up to {} and {}",
        count(crowd.connections(), "HTTP/2 connection", "HTTP/2 connections"),
        count(server.requests().peak(), "request", "requests"),
        count(queries.peak(), "query", "queries"),
    ));
    report.claims.check_answers(arm, &rush);
    match arm {
        Arm::Direct => {
            let text = format!("{} queries for {requests} requests", queries.total());
            report.claims.check(arm, queries.total() == requests, text);
        }
        Arm::Coalesced => report.claims.check_windows(requests, queries, &stats),
    }
    report.add(arm, requests < all, queries, &stats, rush);
    drop(crowd);
    server.stop().await
}
