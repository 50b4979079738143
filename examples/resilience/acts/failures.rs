//! What a breaker counts, inside and outside of the coalescer.

use std::sync::Arc;

use tower::{ServiceExt, service_fn, util::BoxCloneSyncService};

use super::CALLERS;
use crate::{
    Fallible,
    backend::Fault,
    callers::Callers,
    calls::{self, Calls, Seen},
    claim::claim,
    failure::Failure,
    scene::Scene,
};

const ERROR: Failure = Failure::Status(503);

pub(crate) async fn run() -> Fallible<()> {
    inside().await?;
    outside().await
}

async fn inside() -> Fallible<()> {
    let scene = Scene::new(calls::Settings::default()).await?;
    let mut callers = Callers::default();
    scene.backend.hold();
    scene.backend.fail(Fault::Error, 1);
    callers.spawn(0..1, CALLERS, |key| scene.ask(key));
    scene.until("all callers", |stats, _| stats.waiters == CALLERS as usize).await?;
    scene.backend.release();
    let tally = callers.finish().await?;
    println!("breaker inside:  {CALLERS} callers of one key got {tally}");
    let (requests, failures) = (scene.backend.requests(), Seen::get(&scene.seen.failures));
    claim(tally.of(ERROR) == CALLERS as usize && requests == 1, "one request failed, for all of them")?;
    claim(failures == 1, format!("the breaker counted {failures} failure"))?;
    let next = scene.ask(1).await;
    claim(next.is_ok(), "the next key is served, as the breaker is closed")?;
    Ok(())
}

async fn outside() -> Fallible<()> {
    let scene = Scene::new(calls::Settings::default()).await?;
    let (pages, plain) = (scene.pages.clone(), calls::plain(scene.backend.address)?);
    let coalesced = service_fn(move |key| {
        let (pages, plain) = (pages.clone(), plain.clone());
        async move { pages.try_join(key, move || plain.oneshot(key)).await.map_err(Failure::of_join) }
    });
    let seen = Arc::default();
    let calls: Calls =
        BoxCloneSyncService::new(calls::breaker(&scene.settings, &scene.clock.to_clock(), &seen, coalesced));
    let mut callers = Callers::default();
    scene.backend.hold();
    scene.backend.fail(Fault::Error, 1);
    callers.spawn(0..1, CALLERS, |key| calls.clone().oneshot(key));
    scene.until("all callers", |stats, _| stats.waiters == CALLERS as usize).await?;
    scene.backend.release();
    let tally = callers.finish().await?;
    println!("breaker outside: {CALLERS} callers of one key got {tally}");
    let (requests, failures) = (scene.backend.requests(), Seen::get(&seen.failures));
    claim(requests == 1, "again one request failed")?;
    claim(failures == CALLERS as usize, format!("the breaker counted {failures} failures"))?;
    let next = calls.oneshot(1).await;
    claim(
        next.is_err_and(|failure| failure == Failure::Open),
        "the next key is refused, though the backend is well again",
    )?;
    Ok(())
}
