//! What retries add to the load of a backend that is down.

use tokio::runtime::Handle;

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

const RETRIES: usize = 3;
const BUDGET: f32 = 0.2;

pub(crate) async fn run() -> Fallible<()> {
    let flights = KEYS as usize;
    let without = requests(None).await?;
    claim(without == flights * (1 + RETRIES), format!("without a budget, {RETRIES} retries are {without} requests"))?;
    let with = requests(Some(BUDGET)).await?;
    // The budget looks before it takes, so each thread may once take what isn't there any more.
    let most = flights + flights / 5 + Handle::current().metrics().num_workers();
    claim(
        (flights + 1..=most).contains(&with),
        format!("with a budget of {BUDGET}, they are {with}: {:.2} per flight, not {}", ratio(with), 1 + RETRIES),
    )?;
    let scene = Scene::new(Settings { retries: RETRIES, budget: Some(BUDGET), ..Settings::default() }).await?;
    // Pays in what the retry below takes out.
    for key in 1..=5 {
        scene.ask(key).await?;
    }
    scene.backend.fail(Fault::Reset, 1);
    let answer = scene.ask(0).await;
    claim(answer.is_ok(), "a single reset of a connection is retried, and no caller sees it")?;
    Ok(())
}

/// How many requests `KEYS` flights of a failing backend make.
async fn requests(budget: Option<f32>) -> Fallible<usize> {
    // The breaker would open.
    let settings = Settings { retries: RETRIES, budget, calls_min: u32::MAX, ..Settings::default() };
    let scene = Scene::new(settings).await?;
    scene.backend.fail(Fault::Error, usize::MAX);
    scene.backend.hold();
    let mut callers = Callers::default();
    callers.spawn(0..KEYS, PER_KEY, |key| scene.ask(key));
    scene.until("all callers", |stats, _| stats.waiters == CALLERS as usize).await?;
    scene.backend.release();
    let tally = callers.finish().await?;
    println!("{CALLERS} callers in {KEYS} flights got {tally}");
    claim(tally.of(Failure::Status(503)) == CALLERS as usize, "all of them were told")?;
    let (requests, failures) = (scene.backend.requests(), Seen::get(&scene.seen.failures));
    claim(failures == requests, "the breaker counted each attempt")?;
    Ok(requests)
}

fn ratio(requests: usize) -> f64 {
    requests as f64 / f64::from(KEYS)
}
