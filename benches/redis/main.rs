//! What the cluster tier costs, against a real server on loopback: `cargo bench -p benches --features redis --bench redis`.
//!
//! A leader's two calls and a follower's wake-up beside a PING, an open breaker beside a coalescer without the tier, and executions of
//! eight processes that ask for the same key at the same time. All in one run, round after round; the tables hold medians over the
//! rounds, and the ratios are the result. `benches/README.md` says what each line is.

#[path = "../race/command.rs"]
mod command;
mod measure;
#[path = "../race/median.rs"]
mod median;
mod processes;
mod server;
#[path = "../race/table.rs"]
mod table;
#[path = "../race/verdict.rs"]
mod verdict;

use std::{path::PathBuf, process::ExitCode, time::Instant};

use clap::{Parser, value_parser};
use serde_json::{Value, json};

use crate::{
    command::{Fallible, write_json},
    measure::{Outage, Trips, Work, runtime},
    median::median,
    processes::Replicas,
    server::Server,
    table::table,
    verdict::Verdict,
};

const LEADER: &str = "leader: both calls, µs";
const FOLLOWER: &str = "follower: woken after publication, µs";

/// What differs by a few percent takes turns so often in each round.
const PARTS: u64 = 10;

/// A leader's calls, a follower's wake-up, an open breaker, and executions of eight processes.
#[derive(Debug, Parser)]
#[command(name = "redis")]
struct Arguments {
    /// How often everything is measured; the table holds the medians
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Of the runtime that flights run on; the connection has a thread of its own
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = value_parser!(u8).range(1..=64))]
    workers: u8,
    /// A tenth of the calls
    #[arg(long)]
    quick: bool,
    /// Writes every sample there
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Be one of the processes, of the server at this URL
    #[arg(long, hide = true, value_name = "URL")]
    replica: Option<String>,
    /// Cargo's own
    #[arg(long, hide = true)]
    bench: bool,
}

/// Two numbers per round: ours, and what it is divided by.
struct Line {
    name: &'static str,
    reference: &'static str,
    /// What the ratio may be, if that is what the line is for.
    bar: Option<f64>,
    samples: Vec<(f64, f64)>,
}

impl Line {
    fn new(name: &'static str, reference: &'static str, bar: impl Into<Option<f64>>) -> Self {
        Self { name, reference, bar: bar.into(), samples: Vec::new() }
    }

    fn middle(&self, of: impl Fn(&(f64, f64)) -> f64) -> f64 {
        median(&self.samples.iter().map(of).collect::<Vec<_>>()).expect("a round or more")
    }

    fn ratio(&self) -> f64 {
        self.middle(|(ours, theirs)| ours / theirs)
    }

    fn verdict(&self) -> Option<Verdict> {
        self.bar.map(|bar| Verdict { ratio: self.ratio(), bar })
    }

    fn cells(&self) -> [String; 5] {
        let number = |number: f64| if number < 100.0 { format!("{number:.2}") } else { format!("{number:.0}") };
        let [ours, theirs] = [self.middle(|both| both.0), self.middle(|both| both.1)].map(number);
        let ratio =
            self.verdict().map_or_else(|| format!("{:.3}", self.ratio()), |verdict| Verdict::cell(Some(verdict)));
        [self.name.into(), ours, self.reference.into(), theirs, ratio]
    }

    fn json(&self) -> Value {
        let verdict = self.verdict().map(Verdict::json);
        json!({ "line": self.name, "reference": self.reference, "samples": self.samples, "verdict": verdict })
    }
}

fn run(arguments: &Arguments) -> Fallible<()> {
    if let Some(url) = &arguments.replica {
        return processes::replica(url);
    }
    let server = Server::start()?;
    let url = server.url();
    let begun = Instant::now();
    let few: u64 = if arguments.quick { 10 } else { 1 };
    let mut lines = [
        Line::new(LEADER, "a PING", 4.0),
        Line::new(LEADER, "a PING by another thread", None),
        Line::new(FOLLOWER, "a PING after the same pause", 2.0),
        Line::new(FOLLOWER, "a PING by another thread, after the same pause", None),
        Line::new("open breaker: ready work, ns", "a coalescer without the tier", 1.05),
        Line::new("open breaker: work that suspends, ns", "a coalescer without the tier", 1.05),
        Line::new("executions per 1,000 requests of 8 processes", "keys and windows", 1.02),
    ];
    let runtime = runtime(arguments.workers.into());
    let (mut trips, mut outage) =
        runtime.block_on(async { Fallible::Ok((Trips::to(&url).await?, Outage::begin().await?)) })?;
    for round in 0..arguments.rounds {
        runtime.block_on(async {
            let [ours, here, elsewhere] = trips.lead(2_000 / few).await;
            lines[0].samples.push((ours, here));
            lines[1].samples.push((ours, elsewhere));
            let [ours, here, elsewhere] = trips.wake(300 / few).await;
            lines[2].samples.push((ours, here));
            lines[3].samples.push((ours, elsewhere));
            for (line, work) in [(4, Work::Ready), (5, Work::Suspended)] {
                for part in 0..PARTS {
                    let (plain, open) = outage.calls(work, 200_000 / PARTS / few, part % 2 == 1).await;
                    lines[line].samples.push((open, plain));
                }
            }
        });
        eprintln!("round {} of {}, {:.0?}", round + 1, arguments.rounds, begun.elapsed());
    }
    drop((trips, outage));
    let mut replicas = Replicas::start(&url)?;
    let (mut across, mut alone) = (Vec::new(), Vec::new());
    for key in 0..10 * u64::from(arguments.rounds) / few {
        across.push(replicas.window(key, false)?);
        if key % 5 == 0 {
            alone.push(replicas.window(key, true)?);
        }
    }
    // Not the median: one window with two executions is to be seen.
    lines[6].samples.push((across.iter().sum(), across.len() as f64));
    let by_themselves = alone.iter().sum::<f64>() / alone.len() as f64;

    let mut rows = table(1, ["measured", "ours", "divided by", "theirs", "ratio"]);
    for line in &lines {
        rows.add_row(line.cells());
    }
    println!("{rows}");
    println!("executions per window without the tier: {by_themselves:.2}");
    if let Some(path) = &arguments.json {
        let all: Vec<_> = lines.iter().map(Line::json).collect();
        write_json(
            path,
            &json!({ "rounds": arguments.rounds, "quick": arguments.quick, "lines": all, "across": across, "alone": alone }),
        )?;
    }
    Ok(())
}

fn main() -> ExitCode {
    command::main(run)
}
