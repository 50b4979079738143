//! Rollout by fractions of the keys, and switching coalescing off, under steady traffic.

use std::sync::atomic::Ordering;

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use shardflight::{Coalescer, Handle, Stats};

use crate::{
    Fallible,
    claim::claim,
    console::{say, show},
    scenario::traffic::{Hasher, KEYS, Sums, Traffic},
};

const FRACTIONS: [f64; 4] = [0.01, 0.1, 0.5, 1.0];

/// How far the number of keys may deviate from the fraction, in standard deviations of a fair draw.
const DEVIATIONS: f64 = 4.0;

/// The traffic between two changes of the rollout.
struct Phase {
    name: String,
    before: Stats,
    after: Stats,
    /// By key; `None` for a key that was coalesced in part.
    coalesced: Vec<Option<bool>>,
}

pub(super) async fn run() -> Fallible<()> {
    let coalescer = Coalescer::<usize, usize>::builder().rollout(0.0).hasher(Hasher::new()).build()?;
    let handle = coalescer.handle();
    let traffic = Traffic::start(&handle);

    say(format!("Requests for {KEYS} keys keep coming while the fraction is changed (set_rollout, set_enabled):"));
    let mut phases = Vec::new();
    for fraction in FRACTIONS {
        handle.set_rollout(fraction)?;
        phases.push(Phase::run(format!("{} %", fraction * 100.0), &handle, &traffic).await?);
    }
    handle.set_enabled(false);
    let off = Phase::run("switched off".to_string(), &handle, &traffic).await?;
    handle.set_enabled(true);
    let on = Phase::run("and on again".to_string(), &handle, &traffic).await?;
    let sums = traffic.stop().await?;

    println!("{}", table(phases.iter().chain([&off, &on])));
    let wholly = |phase: &Phase| phase.coalesced.iter().all(Option::is_some);
    claim(phases.iter().chain([&off, &on]).all(wholly), "each key was completely in or out, in every phase")?;
    claim_fractions(&phases)?;
    claim(off.keys() == 0, "switched off, no key is coalesced: each caller runs its own work")?;
    claim(on.keys() == KEYS, "switched on again, all keys are, as the fraction is still 100 %")?;
    claim_exact_stats(&handle.stats().await?, &sums)?;

    say("An invalid fraction:");
    let Err(error) = handle.set_rollout(1.5) else { return Err("a rollout of 1.5 was accepted".into()) };
    claim(error.fraction > 1.0, format!("is rejected: \"{error}\""))?;
    Ok(())
}

impl Phase {
    async fn run(name: String, handle: &Handle<usize, usize, Hasher>, traffic: &Traffic) -> Fallible<Self> {
        let before = handle.stats().await?;
        let batch = traffic.run_batch().await?;
        let after = handle.stats().await?;
        Ok(Self { name, before, after, coalesced: batch.coalesced() })
    }

    /// The number of keys that were coalesced.
    fn keys(&self) -> usize {
        self.coalesced.iter().filter(|coalesced| **coalesced == Some(true)).count()
    }

    fn of(&self, counter: impl Fn(&Stats) -> u64) -> u64 {
        counter(&self.after) - counter(&self.before)
    }

    fn coalescing_rate(&self) -> f64 {
        self.of(|stats| stats.coalesced) as f64 / self.of(|stats| stats.joins) as f64
    }
}

fn table<'a>(phases: impl Iterator<Item = &'a Phase>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["rollout", "keys in", "joins", "executions", "bypasses", "coalesced", "coalescing rate"]);
    for phase in phases {
        table.add_row([
            phase.name.clone(),
            phase.keys().to_string(),
            phase.of(|stats| stats.joins).to_string(),
            phase.of(|stats| stats.executions).to_string(),
            phase.of(|stats| stats.bypasses).to_string(),
            phase.of(|stats| stats.coalesced).to_string(),
            format!("{:.3}", phase.coalescing_rate()),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn claim_fractions(phases: &[Phase]) -> Fallible<()> {
    for (phase, fraction) in phases.iter().zip(FRACTIONS) {
        let expected = KEYS as f64 * fraction;
        let deviation = (expected * (1.0 - fraction)).sqrt();
        let off_by = (phase.keys() as f64 - expected).abs();
        claim(off_by <= DEVIATIONS * deviation, format!("{}: {} of {KEYS} keys were in", phase.name, phase.keys()))?;
    }
    let stay_in = phases.windows(2).all(|pair| {
        let (before, after) = (&pair[0].coalesced, &pair[1].coalesced);
        before.iter().zip(after).all(|(before, after)| *before != Some(true) || *after == Some(true))
    });
    claim(stay_in, "a key that was in stayed in while the fraction grew")?;
    Ok(())
}

/// Compares the coalescer's stats with the counts of the callers and the work.
fn claim_exact_stats(stats: &Stats, sums: &Sums) -> Fallible<()> {
    show(stats);
    claim(sums.wrong.load(Ordering::SeqCst) == 0, "every caller got the right answer")?;
    claim(stats.joins == sums.callers.load(Ordering::SeqCst), "joins is the number of calls")?;
    claim(
        stats.executions == sums.in_flight.load(Ordering::SeqCst)
            && stats.bypasses == sums.in_place.load(Ordering::SeqCst),
        "executions and bypasses are the runs of work in flights and in callers",
    )?;
    claim(
        stats.joins == stats.executions + stats.coalesced + stats.rejections + stats.bypasses,
        "joins = executions + coalesced + rejections + bypasses",
    )?;
    Ok(())
}
