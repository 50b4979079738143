//! A hundred requests for one post, and ten database connections.

use super::{Scenario, direct_sample};
use crate::{
    Fallible,
    arm::Arm,
    burst::Burst,
    claims::count,
    clients::Clients,
    environment::{Environment, bar},
    report::Report,
    server::Server,
    source::Source,
};

const REQUESTS: usize = 100;

pub(super) async fn run(environment: &Environment) -> Fallible<Report> {
    let requests = environment.requests(REQUESTS);
    let mut report = Report::new(Scenario::Pool, format!("{requests} requests for one post at once"));
    for &arm in Scenario::Pool.arms() {
        run_arm(environment, &mut report, arm, requests).await?;
    }
    Ok(report)
}

/// A burst of requests to the database, also for `viral`.
pub(super) async fn run_arm(environment: &Environment, report: &mut Report, arm: Arm, all: usize) -> Fallible<()> {
    let scenario = report.scenario;
    let requests = match arm {
        Arm::Direct => direct_sample(scenario.weight(), all),
        Arm::Coalesced | Arm::Cached => all,
    };
    let post = environment.post(scenario, arm)?;
    let pool = environment.pool()?;
    let server = Server::start(arm, Source::Database(pool.clone())).await?;
    let clients = Clients::connect(server.address(), requests).await?;
    let bar = bar(scenario, arm, requests);
    let burst = Burst::run(&clients, requests, post.id, &post.page, &bar).await;
    bar.finish_and_clear();

    let stats = server.stats().await?;
    let queries = pool.queries();
    report.note(format!(
        "{arm}: {requests} requests over {}; at the server at once: up to {} and {}",
        count(clients.connections(), "HTTP/2 connection", "HTTP/2 connections"),
        count(server.requests().peak(), "request", "requests"),
        count(queries.peak(), "query", "queries"),
    ));
    report.claims.check_answers(arm, &burst);
    match arm {
        Arm::Direct => {
            let text = format!("{} queries for {requests} requests", queries.total());
            report.claims.check(arm, queries.total() == requests, text);
        }
        Arm::Coalesced | Arm::Cached => report.claims.check_windows(requests, queries, &stats),
    }
    report.add(arm, requests < all, queries, &stats, burst);
    drop(clients);
    server.stop().await
}
