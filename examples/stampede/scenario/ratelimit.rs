//! An upstream that allows ten requests a second, and a hundred callers.

use super::Scenario;
use crate::{
    Fallible,
    arm::Arm,
    burst::Burst,
    clients::{self, Clients},
    environment::{Environment, bar},
    gauge::Gauge,
    report::Report,
    server::Server,
    source::Source,
    upstream::{self, RATE},
};

const CALLERS: usize = 100;

pub(super) async fn run(environment: &Environment) -> Fallible<Report> {
    let callers = environment.requests(CALLERS);
    let headline = format!("{callers} callers of an upstream that allows {RATE} requests a second");
    let mut report = Report::new(Scenario::Ratelimit, headline);
    for &arm in Scenario::Ratelimit.arms() {
        run_arm(environment, &mut report, arm, callers).await?;
    }
    Ok(report)
}

async fn run_arm(environment: &Environment, report: &mut Report, arm: Arm, callers: usize) -> Fallible<()> {
    let post = environment.post(Scenario::Ratelimit, arm)?;
    let pool = environment.pool()?;
    let upstream = upstream::start(pool.clone()).await?;
    let posts = format!("http://{}/posts", upstream.address());
    let server = Server::start(arm, Source::Upstream { client: clients::client()?, posts }).await?;
    let clients = Clients::connect(server.address(), callers).await?;
    let bar = bar(Scenario::Ratelimit, arm, callers);
    let burst = Burst::run(&clients, callers, post.id, &post.page, &bar).await;
    bar.finish_and_clear();

    let stats = server.stats().await?;
    match arm {
        Arm::Direct => check_refusals(report, callers, pool.queries(), &burst),
        Arm::Coalesced | Arm::Cached => {
            report.claims.check_answers(arm, &burst);
            report.claims.check(arm, burst.refused == 0, "no caller got a 429");
            report.claims.check_windows(callers, pool.queries(), &stats);
        }
    }
    report.add(arm, false, pool.queries(), &stats, burst);
    drop(clients);
    server.stop().await?;
    upstream.stop().await
}

/// Checks that the accepted requests are at most the tokens that the bucket held and gained.
fn check_refusals(report: &mut Report, callers: usize, queries: &Gauge, burst: &Burst) {
    let allowed = f64::from(RATE) * (1.0 + burst.wall.as_secs_f64());
    let text = format!("{} of {callers} were answered, {} got a 429", burst.right, burst.refused);
    let is_accounted_for = burst.right + burst.refused == callers && burst.right == queries.total();
    let is_within_rate = u32::try_from(burst.right).is_ok_and(|right| f64::from(right) <= allowed);
    report.claims.check(Arm::Direct, is_accounted_for && is_within_rate, text);
}
