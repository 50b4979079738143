//! Five hundred clients, of whom four hundred hang up while they wait, the leader first.

use std::time::Duration;

use shardflight::Stats;
use tokio::{
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep_until},
};

use super::{Scenario, direct_sample};
use crate::{
    Fallible,
    arm::Arm,
    crowd::{Answer, Crowd},
    memory::resident_bytes,
    patience::eventually,
    report::Report,
    rush::{Rush, timed},
    server::Server,
    source::Source,
    stage::{Post, Stage, bar},
};

const CLIENTS: usize = 500;
/// Generous: an allocator keeps what it likes. What each client would hold for good is far more than this in all.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

type Callers = JoinSet<(Answer, Duration)>;

pub(super) async fn run(stage: &Stage) -> Fallible<Report> {
    let clients = stage.requests(CLIENTS);
    let headline =
        format!("{clients} clients, of whom {} hang up, the first to come before all others", leavers(clients));
    let mut report = Report::new(Scenario::Disconnect, headline);
    for arm in Arm::BOTH {
        run_arm(stage, &mut report, arm, clients).await?;
    }
    Ok(report)
}

/// Four of five.
fn leavers(clients: usize) -> usize {
    clients * 4 / 5
}

async fn run_arm(stage: &Stage, report: &mut Report, arm: Arm, all: usize) -> Fallible<()> {
    let weight = Scenario::Disconnect.weight();
    let clients = if arm == Arm::Direct { direct_sample(weight, all) } else { all };
    let post = stage.post(Scenario::Disconnect, arm)?;
    let pool = stage.pool()?;
    let server = Server::start(arm, Source::Database(pool.clone())).await?;
    let crowd = Crowd::gather(server.address(), clients).await?;
    let bar = bar(Scenario::Disconnect, arm, clients);

    let resident_before = resident_bytes();
    let started = Instant::now();
    let mut callers = JoinSet::new();
    let handles = arrive(&server, &crowd, clients, &post, &mut callers).await?;
    hang_up(&handles[..leavers(clients)], stage.query(weight) / 4).await;
    let is_flying = server.stats().await?.flights == 1;
    let rush = Rush::collect(started.into_std(), callers, &bar).await;
    bar.finish_and_clear();

    let is_idle = eventually(async || pool.idle() == pool.size() && server.requests().current() == 0).await;
    let stats = server.stats().await?;
    report.claims.check_answers(arm, &rush);
    match arm {
        Arm::Direct => {
            let text = format!("{} queries for the {} who stayed", pool.queries().total(), rush.right);
            report.note(format!("{arm}: {text}; nothing stops a query whose reader has left"));
        }
        Arm::Coalesced => {
            if is_flying {
                check_departures(report, server.requests().cut_short(), &stats, &rush);
            }
            report.claims.check_windows(clients, pool.queries(), &stats);
            let text = format!("left behind: {} flights, {} waiters", stats.flights, stats.waiters);
            report.claims.check(arm, stats.flights == 0 && stats.waiters == 0, text);
        }
    }
    let text = format!(
        "{} of {} database connections are back, {} requests are left",
        pool.idle(),
        pool.size(),
        server.requests().current()
    );
    report.claims.check(arm, is_idle, text);
    check_growth(report, arm, resident_before);
    report.add(arm, clients < all, pool.queries(), &stats, rush);
    drop(crowd);
    server.stop().await
}

/// The first client, and when its request is under way, all others. Returns when they all wait.
async fn arrive(
    server: &Server,
    crowd: &Crowd,
    clients: usize,
    post: &Post,
    callers: &mut Callers,
) -> Fallible<Vec<AbortHandle>> {
    let mut handles = Vec::with_capacity(clients);
    for wave in [0..1, 1..clients] {
        for index in wave.clone() {
            handles.push(callers.spawn(timed(crowd.request(index, post.id, post.page.clone()))));
        }
        if !eventually(async || server.requests().total() >= wave.end).await {
            return Err(format!("not all of {} requests have reached the server", wave.end).into());
        }
    }
    Ok(handles)
}

/// The first at once, the others one by one at random moments.
async fn hang_up(leavers: &[AbortHandle], within: Duration) {
    let started = Instant::now();
    let mut moments: Vec<_> = leavers.iter().skip(1).map(|_| within.mul_f64(fastrand::f64())).collect();
    moments.sort_unstable();
    moments.insert(0, Duration::ZERO);
    let mut others = leavers.to_vec();
    fastrand::shuffle(&mut others[1..]);
    for (moment, leaver) in moments.into_iter().zip(others) {
        sleep_until(started + moment).await;
        leaver.abort();
    }
}

/// Only for a flight that has outlasted the hang-ups: a hang-up and an answer may otherwise pass each other on the way.
fn check_departures(report: &mut Report, noticed: usize, stats: &Stats, rush: &Rush) {
    let departures = stats.departures;
    let text = format!("{} hung up in mid-flight, the coalescer counts {departures} departures", rush.hung_up);
    let holds = noticed == rush.hung_up && departures == rush.hung_up as u64 && stats.executions == 1;
    report.claims.check(Arm::Coalesced, holds, text);
}

fn check_growth(report: &mut Report, arm: Arm, before: Option<u64>) {
    // Skipped where the system doesn't tell.
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        let growth = after.saturating_sub(before);
        let text = format!("memory grew by {} KiB, at most {} is fine", growth >> 10, GROWTH_BYTES_MAX >> 10);
        report.claims.check(arm, growth <= GROWTH_BYTES_MAX, text);
    }
}
