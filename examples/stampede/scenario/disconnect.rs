//! Five hundred clients, of which four hundred disconnect while they wait, the leader first.

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
    burst::{Burst, timed},
    clients::{Answer, Clients},
    environment::{Environment, Post, bar},
    memory::resident_bytes,
    report::Report,
    server::Server,
    source::Source,
    wait::eventually,
};

const CLIENTS: usize = 500;
/// Generous, as allocators keep memory. A leak per client would be far more in all.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

type Callers = JoinSet<(Answer, Duration)>;

pub(super) async fn run(environment: &Environment) -> Fallible<Report> {
    let count = environment.requests(CLIENTS);
    let headline = format!("{count} clients, of which {} hang up, the leader first", leavers(count));
    let mut report = Report::new(Scenario::Disconnect, headline);
    for &arm in Scenario::Disconnect.arms() {
        run_arm(environment, &mut report, arm, count).await?;
    }
    Ok(report)
}

/// Four of five.
fn leavers(count: usize) -> usize {
    count * 4 / 5
}

async fn run_arm(environment: &Environment, report: &mut Report, arm: Arm, all: usize) -> Fallible<()> {
    let weight = Scenario::Disconnect.weight();
    let count = if arm == Arm::Direct { direct_sample(weight, all) } else { all };
    let post = environment.post(Scenario::Disconnect, arm)?;
    let pool = environment.pool()?;
    let server = Server::start(arm, Source::Database(pool.clone())).await?;
    let clients = Clients::connect(server.address(), count).await?;
    let bar = bar(Scenario::Disconnect, arm, count);

    let resident_before = resident_bytes();
    let started = Instant::now();
    let mut callers = JoinSet::new();
    let handles = arrive(&server, &clients, count, &post, &mut callers).await?;
    hang_up(&handles[..leavers(count)], environment.query(weight) / 4).await;
    // On a busy machine, the flight may end before all have hung up, or begin anew before all have arrived.
    let mut flight_is_live = true;
    eventually(async || {
        let Ok(stats) = server.stats().await else { return true };
        flight_is_live = stats.flights == 1 && stats.executions == 1;
        !flight_is_live || stats.departures == leavers(count) as u64
    })
    .await;
    let burst = Burst::collect(started.into_std(), callers, &bar).await;
    bar.finish_and_clear();

    let is_idle = eventually(async || pool.idle() == pool.size() && server.requests().current() == 0).await;
    let stats = server.stats().await?;
    report.claims.check_answers(arm, &burst);
    match arm {
        Arm::Direct => {
            let text = format!("{} queries for the {} clients that stayed", pool.queries().total(), burst.right);
            report.note(format!("{arm}: {text}; a query runs on when its reader has left"));
        }
        Arm::Coalesced | Arm::Cached => {
            if flight_is_live {
                check_departures(report, server.requests().cut_short(), &stats, &burst);
            }
            report.claims.check_windows(count, pool.queries(), &stats);
            let text = format!("left behind: {} flights, {} waiters", stats.flights, stats.waiters);
            report.claims.check(arm, stats.flights == 0 && stats.waiters == 0, text);
        }
    }
    let text = format!(
        "{} of {} database connections are idle, {} requests are left",
        pool.idle(),
        pool.size(),
        server.requests().current()
    );
    report.claims.check(arm, is_idle, text);
    check_growth(report, arm, resident_before);
    report.add(arm, count < all, pool.queries(), &stats, burst);
    drop(clients);
    server.stop().await
}

/// Sends the first client's request, and when it is under way all others. Returns when the server has all of them.
async fn arrive(
    server: &Server,
    clients: &Clients,
    count: usize,
    post: &Post,
    callers: &mut Callers,
) -> Fallible<Vec<AbortHandle>> {
    let mut handles = Vec::with_capacity(count);
    for wave in [0..1, 1..count] {
        for index in wave.clone() {
            handles.push(callers.spawn(timed(clients.request(index, post.id, post.page.clone()))));
        }
        if !eventually(async || server.requests().total() >= wave.end).await {
            return Err(format!("not all of {} requests have reached the server", wave.end).into());
        }
    }
    Ok(handles)
}

/// Aborts the first at once, and the others one by one at random moments.
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

/// Only for a flight that outlived all disconnects. Otherwise an answer may cross a disconnect.
fn check_departures(report: &mut Report, noticed: usize, stats: &Stats, burst: &Burst) {
    let departures = stats.departures;
    let text = format!("{} hung up during the flight, the coalescer counts {departures} departures", burst.hung_up);
    let holds = noticed == burst.hung_up && departures == burst.hung_up as u64 && stats.executions == 1;
    report.claims.check(Arm::Coalesced, holds, text);
}

fn check_growth(report: &mut Report, arm: Arm, before: Option<u64>) {
    // Skipped if the system doesn't report memory.
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        let growth = after.saturating_sub(before);
        let text = format!("memory grew by {} KiB; the limit is {}", growth >> 10, GROWTH_BYTES_MAX >> 10);
        report.claims.check(arm, growth <= GROWTH_BYTES_MAX, text);
    }
}
