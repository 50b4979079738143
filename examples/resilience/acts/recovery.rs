//! An outage under steady load, from begin to end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::{
    Fallible,
    backend::Fault,
    callers::Tally,
    calls::{Seen, Settings},
    claim::claim,
    failure::Failure,
    scene::Scene,
};

const CALLERS: usize = 200;
const KEYS: u32 = 20;
const LIMIT: usize = 30;
const TIMEOUT: Duration = Duration::from_secs(1);
/// Between an answer and its caller's next question.
const THOUGHT: Duration = Duration::from_millis(5);

pub(crate) async fn run() -> Fallible<()> {
    let settings = Settings { retries: 2, budget: Some(0.2), limit: LIMIT, timeout: TIMEOUT, ..Settings::default() };
    let scene = Scene::new(settings).await?;
    println!(
        "{:<10} {:>9} {:>7} {:>9} {:>9} {:>9} {:>6}",
        "", "answers", "failed", "median", "p99", "requests", "peak"
    );
    let well = phase(&scene, "healthy", 500).await?;
    claim(well.tally.failed() == 0, "no caller sees an error")?;

    let mut outage = Phase::default();
    for (name, fault) in [("errors", Fault::Error), ("resets", Fault::Reset), ("hangs", Fault::Hang)] {
        scene.backend.fail(fault, usize::MAX);
        scene.wait_for_half_open();
        outage.merge(phase(&scene, name, 500).await?);
    }
    let probes = Seen::get(&scene.seen.probes);
    claim(
        Seen::get(&scene.seen.closings) == 0 && probes == 2,
        "the breaker opens, probes once after each of its pauses, and stays open",
    )?;
    claim(
        outage.requests * 20 < outage.tally.total(),
        format!("{} requests reach the backend, of {} callers", outage.requests, outage.tally.total()),
    )?;
    let (refused, failed) = (outage.tally.of(Failure::Open), outage.tally.failed());
    claim(refused > failed / 2, "most callers are refused by the breaker, and wait for no timeout")?;

    scene.backend.recover();
    scene.wait_for_half_open();
    let back = phase(&scene, "return", 500).await?;
    claim(Seen::get(&scene.seen.closings) == 1, "a probe has closed the breaker")?;
    claim(back.peak <= KEYS as usize, format!("{CALLERS} callers return as {} calls at once at most", back.peak))?;
    let again = phase(&scene, "recovered", 500).await?;
    claim(again.tally.failed() == 0, "no caller sees an error")?;
    Ok(())
}

#[derive(Debug, Default)]
struct Phase {
    tally: Tally,
    requests: usize,
    peak: usize,
}

impl Phase {
    fn merge(&mut self, other: Self) {
        self.tally.merge(other.tally);
        self.requests += other.requests;
        self.peak = self.peak.max(other.peak);
    }
}

/// All callers ask again and again, for so many milliseconds.
async fn phase(scene: &Scene, name: &str, ms: u64) -> Fallible<Phase> {
    scene.backend.reset_counts();
    let is_over = Arc::new(AtomicBool::new(false));
    let mut loops = tokio::task::JoinSet::new();
    for key in (0..KEYS).cycle().take(CALLERS) {
        let (is_over, ask) = (Arc::clone(&is_over), scene.asker(key));
        loops.spawn(async move {
            let mut tally = Tally::default();
            while !is_over.load(Ordering::Relaxed) {
                let begin = Instant::now();
                let answer = ask().await;
                tally.add(begin.elapsed(), key, answer)?;
                sleep(THOUGHT).await;
            }
            Fallible::Ok(tally)
        });
    }
    sleep(Duration::from_millis(ms)).await;
    is_over.store(true, Ordering::Relaxed);
    let mut tally = Tally::default();
    while let Some(ended) = loops.join_next().await {
        tally.merge(ended??);
    }
    let phase = Phase { tally, requests: scene.backend.requests(), peak: scene.backend.peak() };
    let Phase { tally, requests, peak, .. } = &phase;
    let (answers, failed) = (tally.total(), tally.failed());
    let [median, p99] = [0.5, 0.99].map(|part| format!("{:.1} ms", tally.quantile(part).as_secs_f64() * 1e3));
    println!("{name:<10} {answers:>9} {failed:>7} {median:>9} {p99:>9} {requests:>9} {peak:>6}");
    Ok(phase)
}
