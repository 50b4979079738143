//! An upstream that allows ten requests a second, and a hundred callers.

use super::Scenario;
use crate::{
    Fallible,
    arm::Arm,
    crowd::{self, Crowd},
    gauge::Gauge,
    report::Report,
    rush::Rush,
    server::Server,
    source::Source,
    stage::{Stage, bar},
    upstream::{self, RATE},
};

const CALLERS: usize = 100;

pub(super) async fn run(stage: &Stage) -> Fallible<Report> {
    let callers = stage.requests(CALLERS);
    let headline = format!("{callers} callers of an upstream that allows {RATE} requests a second");
    let mut report = Report::new(Scenario::Ratelimit, headline);
    for arm in Arm::BOTH {
        run_arm(stage, &mut report, arm, callers).await?;
    }
    Ok(report)
}

async fn run_arm(stage: &Stage, report: &mut Report, arm: Arm, callers: usize) -> Fallible<()> {
    let post = stage.post(Scenario::Ratelimit, arm)?;
    let pool = stage.pool()?;
    let upstream = upstream::start(pool.clone()).await?;
    let posts = format!("http://{}/posts", upstream.address());
    let server = Server::start(arm, Source::Upstream { client: crowd::client()?, posts }).await?;
    let crowd = Crowd::gather(server.address(), callers).await?;
    let bar = bar(Scenario::Ratelimit, arm, callers);
    let rush = Rush::run(&crowd, callers, post.id, &post.page, &bar).await;
    bar.finish_and_clear();

    let stats = server.stats().await?;
    match arm {
        Arm::Direct => check_refusals(report, callers, pool.queries(), &rush),
        Arm::Coalesced => {
            report.claims.check_answers(arm, &rush);
            report.claims.check(arm, rush.refused == 0, "nobody got a 429");
            report.claims.check_windows(callers, pool.queries(), &stats);
        }
    }
    report.add(arm, false, pool.queries(), &stats, rush);
    drop(crowd);
    server.stop().await?;
    upstream.stop().await
}

/// What got through is what the bucket held, and what dripped into it meanwhile.
fn check_refusals(report: &mut Report, callers: usize, queries: &Gauge, rush: &Rush) {
    let allowed = f64::from(RATE) * (1.0 + rush.wall.as_secs_f64());
    let text = format!("{} of {callers} were answered, {} got a 429", rush.right, rush.refused);
    let is_accounted_for = rush.right + rush.refused == callers && rush.right == queries.total();
    let is_within_rate = u32::try_from(rush.right).is_ok_and(|right| f64::from(right) <= allowed);
    report.claims.check(Arm::Direct, is_accounted_for && is_within_rate, text);
}
