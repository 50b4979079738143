//! What an open breaker costs, and whom its half-open state lets through.

use std::time::Duration;

use recloser::{AsyncRecloser, Recloser};
use tokio::time::sleep;
use tower::ServiceExt;

use super::{CALLERS, KEYS, PER_KEY};
use crate::{
    Fallible,
    backend::Fault,
    callers::Callers,
    calls::{self, Seen, Settings},
    claim::claim,
    failure::Failure,
    scene::Scene,
};

/// Of the keys, so many have a page for the fallback.
const KNOWN: u32 = KEYS / 2;

/// Beyond a pause, so that it is over.
const A_MOMENT: Duration = Duration::from_millis(20);

pub(crate) async fn run() -> Fallible<()> {
    open().await?;
    half_open().await?;
    half_open_for_all().await
}

async fn open() -> Fallible<()> {
    let scene = Scene::new(Settings::default()).await?.with_fallback();
    for key in 0..KNOWN {
        scene.ask(key).await?;
    }
    scene.open_the_breaker().await?;
    let mut callers = Callers::default();
    callers.spawn(0..KEYS, PER_KEY, |key| scene.ask(key));
    let tally = callers.finish().await?;
    // None of them waited for the breaker's pause: its clock stands still.
    println!("open: {CALLERS} callers of {KEYS} keys got {tally}; the slowest waited {:.0?}", tally.slowest());
    let requests = scene.backend.requests();
    claim(requests == 0, "the backend saw nothing of them")?;
    let (known, unknown) = ((KNOWN * PER_KEY) as usize, ((KEYS - KNOWN) * PER_KEY) as usize);
    claim(tally.stale == known, "keys that were loaded before got the page of then, from the fallback")?;
    claim(tally.of(Failure::Open) == unknown, "the others got the breaker's error")?;
    Ok(())
}

/// All flights at once, each for a key of its own, so that the coalescer does not do the breaker's work.
async fn half_open() -> Fallible<()> {
    let scene = Scene::new(Settings::default()).await?;
    scene.open_the_breaker().await?;
    scene.wait_for_half_open();
    scene.backend.hold();
    let mut callers = Callers::default();
    callers.spawn(0..KEYS, PER_KEY, |key| scene.ask(key));
    let all_but_one_key = |waiters| waiters == PER_KEY as usize;
    scene
        .until("the probe alone", |stats, _| stats.joins == u64::from(CALLERS) && all_but_one_key(stats.waiters))
        .await?;
    scene.backend.release();
    let tally = callers.finish().await?;
    println!("half-open: {CALLERS} callers of {KEYS} keys at once got {tally}");
    let (requests, probes) = (scene.backend.requests(), Seen::get(&scene.seen.probes));
    claim(requests == 1 && probes == 1, "one of their flights was the probe, the backend saw no other")?;
    claim(tally.fresh == PER_KEY as usize, "the callers of the probe's key share its page")?;
    claim(Seen::get(&scene.seen.closings) == 1, "the probe closed the breaker")?;
    Ok(())
}

/// The same with a breaker whose half-open state counts calls and limits none.
async fn half_open_for_all() -> Fallible<()> {
    let scene = Scene::new(Settings::default()).await?;
    let pause = scene.settings.pause;
    let breaker = Recloser::custom().closed_len(10).half_open_len(1).open_wait(pause).build();
    let breaker = AsyncRecloser::from(breaker);
    let plain = calls::plain(scene.backend.address)?;
    let call = |key| {
        let (breaker, plain) = (breaker.clone(), plain.clone());
        async move { breaker.call(plain.oneshot(key)).await }
    };
    scene.backend.fail(Fault::Error, usize::MAX);
    let mut key = 0;
    while !matches!(call(key).await, Err(recloser::Error::Rejected)) {
        key += 1;
        if key > 100 {
            return Err("recloser doesn't open".into());
        }
    }
    scene.backend.recover();
    scene.backend.reset_counts();
    sleep(pause + A_MOMENT).await;
    scene.backend.hold();
    let mut callers = Callers::default();
    callers.spawn(0..KEYS, PER_KEY, |key| {
        let (pages, call) = (scene.pages.clone(), call(key));
        async move {
            let work = move || async move {
                call.await.map_err(|error| match error {
                    recloser::Error::Rejected => Failure::Open,
                    recloser::Error::Inner(failure) => failure,
                })
            };
            pages.try_join(key, work).await.map_err(Failure::of_join)
        }
    });
    scene.until("all flights at the backend", |_, backend| backend.current() == KEYS as usize).await?;
    scene.backend.release();
    let tally = callers.finish().await?;
    println!("half-open, recloser 1.4 in its place: they got {tally}");
    claim(
        tally.fresh == CALLERS as usize,
        format!("all of the {KEYS} flights reached the backend before one had ended"),
    )?;
    Ok(())
}
