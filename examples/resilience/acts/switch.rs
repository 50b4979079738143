//! Passing by the coalescer while the backend fails: how, and what it costs.

use shardflight::Freshness;

use super::CALLERS;
use crate::{
    Fallible,
    backend::Fault,
    callers::{Callers, Tally},
    calls::{Seen, Settings},
    claim::claim,
    failure::Failure,
    scene::Scene,
};

const ALL: usize = CALLERS as usize;

pub(crate) async fn run() -> Fallible<()> {
    let kept = probe("on", false).await?;
    claim(kept.fresh == ALL, format!("all {ALL} callers share the probe"))?;
    let switched = probe("off", true).await?;
    claim(switched.fresh == 1, format!("1 caller is the probe, {} are refused", switched.of(Failure::Open)))?;
    late().await
}

/// Callers of one key while the breaker is half-open.
async fn probe(title: &str, is_switched: bool) -> Fallible<Tally> {
    let scene = Scene::new(Settings::default()).await?;
    if is_switched {
        // From now on the breaker switches the coalescer, off when it opens and on when it closes.
        let _ = scene.seen.switched.set(scene.pages.clone());
    }
    scene.open_the_breaker().await?;
    scene.wait_for_half_open();
    scene.backend.hold();
    let mut callers = Callers::default();
    callers.spawn(0..1, CALLERS, |key| scene.ask(key));
    // Those that pass by the coalescer have to be refused before the probe closes the breaker.
    let (bypasses, refusals) = if is_switched { (u64::from(CALLERS), ALL - 1) } else { (0, 0) };
    scene
        .until("all callers", |stats, backend| {
            stats.joins == u64::from(CALLERS)
                && stats.bypasses == bypasses
                && Seen::get(&scene.seen.refusals) == refusals
                && backend.current() == 1
        })
        .await?;
    scene.backend.release();
    let tally = callers.finish().await?;
    println!("coalescing {title} while the breaker is half-open: {ALL} callers of one key got {tally}");
    claim(scene.backend.requests() == 1, "the backend saw one request")?;
    claim(Seen::get(&scene.seen.closings) == 1, "which closed the breaker")?;
    let before = scene.pages.stats().await?;
    scene.ask(0).await?;
    let after = scene.pages.stats().await?;
    claim(after.executions == before.executions + 1, "with a closed breaker, callers are coalesced")?;
    Ok(tally)
}

/// A caller that won't share a failure that began before it needs no switch.
async fn late() -> Fallible<()> {
    let scene = Scene::new(Settings::default()).await?;
    scene.backend.fail(Fault::Error, 1);
    scene.backend.hold();
    let (mut any, mut new) = (Callers::default(), Callers::default());
    any.spawn(0..1, 1, |key| scene.ask(key));
    scene.until("the failing request", |_, backend| backend.current() == 1).await?;
    any.spawn(0..1, CALLERS / 2 - 1, |key| scene.ask(key));
    let fresh = scene.pages.with_freshness(Freshness::StartedAfterCall);
    new.spawn(0..1, CALLERS / 2, |key| scene.ask_through(&fresh, key));
    scene.until("all callers", |stats, _| stats.waiters == ALL).await?;
    scene.backend.release();
    let (any, new) = (any.finish().await?, new.finish().await?);
    println!("a flight that fails: {} callers got {any}; {} with StartedAfterCall got {new}", any.total(), new.total());
    claim(any.of(Failure::Status(503)) == ALL / 2, "those that joined it share its failure")?;
    claim(new.fresh == ALL / 2, "those that ask for a flight of their own time share the next one")?;
    claim(scene.backend.requests() == 2, "the backend saw two requests")?;
    Ok(())
}
