//! Coalescing comes in by fractions of the keys, and goes out by one switch, while requests keep coming.

use std::sync::atomic::Ordering;

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use shardflight::{Coalescer, Handle, Stats};

use crate::{
    Fallible,
    act::traffic::{Hasher, KEYS, Sums, Traffic},
    claim::claim,
    console::{say, show},
};

const FRACTIONS: [f64; 4] = [0.01, 0.1, 0.5, 1.0];

/// How far the number of keys may be from the fraction's, in standard deviations of a fair draw.
const DEVIATIONS: f64 = 4.0;

/// What became of the traffic between two turns of a knob.
struct Stage {
    name: String,
    before: Stats,
    after: Stats,
    /// By key; `None` for one that was only in part.
    coalesced: Vec<Option<bool>>,
}

pub(super) async fn play() -> Fallible<()> {
    let coalescer = Coalescer::<usize, usize>::builder().rollout(0.0).hasher(Hasher::new()).build()?;
    let handle = coalescer.handle();
    let traffic = Traffic::start(&handle);

    say(format!("Requests for {KEYS} keys keep coming while the fraction is changed (set_rollout, set_enabled):"));
    let mut stages = Vec::new();
    for fraction in FRACTIONS {
        handle.set_rollout(fraction)?;
        stages.push(Stage::run(format!("{} %", fraction * 100.0), &handle, &traffic).await?);
    }
    handle.set_enabled(false);
    let off = Stage::run("switched off".to_string(), &handle, &traffic).await?;
    handle.set_enabled(true);
    let on = Stage::run("and on again".to_string(), &handle, &traffic).await?;
    let sums = traffic.stop().await?;

    println!("{}", table(stages.iter().chain([&off, &on])));
    let wholly = |stage: &Stage| stage.coalesced.iter().all(Option::is_some);
    claim(stages.iter().chain([&off, &on]).all(wholly), "each key was wholly in or wholly out, in every stage")?;
    claim_fractions(&stages)?;
    claim(off.keys() == 0, "switched off, no key is coalesced: every caller does its own work")?;
    claim(on.keys() == KEYS, "on again, all of them are, as the fraction still says")?;
    claim_honest_numbers(&handle.stats().await?, &sums)?;

    say("A fraction that is none:");
    let Err(error) = handle.set_rollout(1.5) else { return Err("a rollout of 1.5 was taken".into()) };
    claim(error.fraction > 1.0, format!("is refused: \"{error}\""))?;
    Ok(())
}

impl Stage {
    async fn run(name: String, handle: &Handle<usize, usize, Hasher>, traffic: &Traffic) -> Fallible<Self> {
        let before = handle.stats().await?;
        let sheet = traffic.fill_sheet().await?;
        let after = handle.stats().await?;
        Ok(Self { name, before, after, coalesced: sheet.coalesced() })
    }

    /// How many of them were coalesced.
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

fn table<'a>(stages: impl Iterator<Item = &'a Stage>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["rollout", "keys in", "joins", "executions", "bypasses", "coalesced", "coalescing rate"]);
    for stage in stages {
        table.add_row([
            stage.name.clone(),
            stage.keys().to_string(),
            stage.of(|stats| stats.joins).to_string(),
            stage.of(|stats| stats.executions).to_string(),
            stage.of(|stats| stats.bypasses).to_string(),
            stage.of(|stats| stats.coalesced).to_string(),
            format!("{:.3}", stage.coalescing_rate()),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn claim_fractions(stages: &[Stage]) -> Fallible<()> {
    for (stage, fraction) in stages.iter().zip(FRACTIONS) {
        let expected = KEYS as f64 * fraction;
        let deviation = (expected * (1.0 - fraction)).sqrt();
        let off_by = (stage.keys() as f64 - expected).abs();
        claim(off_by <= DEVIATIONS * deviation, format!("{}: {} of {KEYS} keys were in", stage.name, stage.keys()))?;
    }
    let stay_in = stages.windows(2).all(|pair| {
        let (before, after) = (&pair[0].coalesced, &pair[1].coalesced);
        before.iter().zip(after).all(|(before, after)| *before != Some(true) || *after == Some(true))
    });
    claim(stay_in, "a key that was in stayed in while the fraction grew")?;
    Ok(())
}

/// The coalescer's numbers against what callers and work counted for themselves.
fn claim_honest_numbers(stats: &Stats, sums: &Sums) -> Fallible<()> {
    show(stats);
    claim(sums.wrong.load(Ordering::SeqCst) == 0, "every caller got the right answer")?;
    claim(stats.joins == sums.callers.load(Ordering::SeqCst), "joins is how many callers asked")?;
    claim(
        stats.executions == sums.in_flight.load(Ordering::SeqCst)
            && stats.bypasses == sums.in_place.load(Ordering::SeqCst),
        "executions and bypasses are how often work ran in flights and in callers",
    )?;
    claim(
        stats.joins == stats.executions + stats.coalesced + stats.rejections + stats.bypasses,
        "joins = executions + coalesced + rejections + bypasses",
    )?;
    Ok(())
}
