//! Calls that take too long, and too many calls at once.

use std::time::Duration;

use shardflight::JoinErrorKind;

use super::{CALLERS, KEYS, PER_KEY};
use crate::{
    Fallible,
    backend::Fault,
    callers::Callers,
    calls::{Seen, Settings},
    claim::claim,
    failure::Failure,
    scene::Scene,
};

const SHORT: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_secs(5);
const LIMIT: usize = 20;

pub(crate) async fn run() -> Fallible<()> {
    timeout().await?;
    flight_limit().await?;
    limit().await
}

async fn timeout() -> Fallible<()> {
    let scene = Scene::new(Settings { timeout: SHORT, ..Settings::default() }).await?;
    scene.backend.fail(Fault::Hang, usize::MAX);
    let mut callers = Callers::default();
    callers.spawn(0..1, CALLERS, |key| scene.ask(key));
    let tally = callers.finish().await?;
    println!("a hang, timeout {SHORT:?}: {CALLERS} callers got {tally}");
    let (failures, flights) = (Seen::get(&scene.seen.failures), scene.pages.stats().await?.executions);
    claim(tally.of(Failure::TimedOut) == CALLERS as usize, "all of the flight's callers are told")?;
    claim(failures as u64 == flights, format!("the breaker counted {failures} failure"))?;
    scene.until("the end of the request", |_, backend| backend.current() == 0).await?;
    claim(true, "the call's connection is closed")?;

    Ok(())
}

/// The coalescer's limit ends the flight, and the work is dropped: neither the breaker nor the retry sees an error.
async fn flight_limit() -> Fallible<()> {
    let scene = Scene::new(Settings { timeout: LONG, ..Settings::default() }).await?;
    let impatient = scene.pages.with_max_flight_duration(SHORT)?;
    scene.backend.fail(Fault::Hang, 1);
    let mut callers = Callers::default();
    callers.spawn(0..1, CALLERS, |key| scene.ask_through(&impatient, key));
    let tally = callers.finish().await?;
    println!("a hang, max_flight_duration {SHORT:?}, timeout {LONG:?}: {CALLERS} callers got {tally}");
    let expired = tally.of(Failure::Join(JoinErrorKind::TimedOut));
    claim(expired + tally.fresh == CALLERS as usize && expired > 0, "the flight's limit ends a wait, too")?;
    claim(Seen::get(&scene.seen.failures) == 0, "the breaker counted no failure: keep the limit above all attempts")?;
    Ok(())
}

async fn limit() -> Fallible<()> {
    let scene = Scene::new(Settings { limit: LIMIT, ..Settings::default() }).await?;
    scene.backend.hold();
    let mut callers = Callers::default();
    callers.spawn(0..KEYS, PER_KEY, |key| scene.ask(key));
    let admitted = LIMIT * PER_KEY as usize;
    scene
        .until("the admitted flights alone", |stats, backend| {
            stats.joins == u64::from(CALLERS) && stats.waiters == admitted && backend.current() == LIMIT
        })
        .await?;
    scene.backend.release();
    let tally = callers.finish().await?;
    println!("a limit of {LIMIT} calls: {CALLERS} callers of {KEYS} keys got {tally}");
    let peak = scene.backend.peak();
    claim(peak == LIMIT, format!("the backend had {peak} calls at once"))?;
    claim(
        tally.fresh == admitted && tally.of(Failure::Shed) == CALLERS as usize - admitted,
        "callers beyond the limit were told so while the others still waited",
    )?;
    let (failures, openings) = (Seen::get(&scene.seen.failures), Seen::get(&scene.seen.openings));
    claim(failures == 0 && openings == 0, "shed calls are no failures of the backend's")?;
    Ok(())
}
