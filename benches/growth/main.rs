//! How the cost of a call grows with the crowd: `cargo bench -p benches --bench growth -- --svg growth.svg`.
//!
//! Time and live bytes per call, against the number of waiters of one flight and against the number of keys in flight, of
//! ours and of the peers, on one thread. A flat line is a call that costs the same in any crowd. A contender that takes
//! too long over a point is asked for no larger one.

mod arguments;
mod chart;
#[path = "../race/choice.rs"]
mod choice;
#[path = "../race/command.rs"]
mod command;
#[path = "../race/contenders.rs"]
mod contenders;
#[path = "../race/gate.rs"]
mod gate;
mod measure;
#[path = "../race/median.rs"]
mod median;
mod report;
mod results;
#[path = "../race/table.rs"]
mod table;

use std::{process::ExitCode, time::Instant};

use peak_alloc::PeakAlloc;

use crate::{
    arguments::Arguments,
    choice::choose,
    command::{Fallible, write_json},
    contenders::{Contender, Facts, Role, Visitor, field},
    measure::{Crowd, QUICK},
    results::{Point, Results},
};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Per call, in a crowd of that size; `None` if it was given up.
type Gauge = fn(Crowd, usize) -> Option<f64>;

struct Surveyor;

impl Visitor for Surveyor {
    /// By [`Measure`].
    type Output = [Gauge; 2];
    fn visit<C: Contender>(&self) -> [Gauge; 2] {
        [measure::nanoseconds::<C>, measure::bytes::<C>]
    }
}

/// Each peer once, unless they are named: six curves can be told apart, twelve can't.
fn contenders(arguments: &Arguments) -> Result<Vec<(Facts, [Gauge; 2])>, String> {
    let mut chosen = choose("--only", field(&Surveyor), |(facts, _)| &facts.name, &arguments.only)?;
    if arguments.only.is_empty() {
        chosen.retain(|(facts, _)| matches!(facts.role, Role::Ours | Role::Peer));
    }
    Ok(chosen)
}

fn survey(arguments: &Arguments) -> Result<Results, String> {
    let contenders = contenders(arguments)?;
    let mut points = Vec::new();
    let start = Instant::now();
    for crowd in Crowd::ALL {
        let mut is_quick = vec![[true; 2]; contenders.len()];
        for size in arguments.sizes() {
            let mut here: Vec<_> = (0..contenders.len()).map(|index| Point::new(crowd, size, index)).collect();
            for turn in 0..arguments.rounds_of(size) * contenders.len() {
                // Each round begins with another of them, so that none is always first.
                let index = (turn + turn / contenders.len()) % contenders.len();
                let (facts, gauges) = &contenders[index];
                for (measure, gauge) in gauges.iter().enumerate() {
                    if !is_quick[index][measure] {
                        continue;
                    }
                    let (reading, was_quick) = timed(facts, crowd, size, *gauge);
                    here[index].samples[measure].extend(reading);
                    is_quick[index][measure] = was_quick;
                }
            }
            points.extend(here);
            eprintln!("{size} {}, {:.0?}", crowd.name(), start.elapsed());
        }
    }
    Ok(Results { field: contenders.into_iter().map(|(facts, _)| facts).collect(), points })
}

/// The reading, and whether it was quick enough for a larger crowd.
fn timed(facts: &Facts, crowd: Crowd, size: usize, gauge: Gauge) -> (Option<f64>, bool) {
    let start = Instant::now();
    let reading = gauge(crowd, size);
    let took = start.elapsed();
    if took > QUICK {
        eprintln!("{} took {took:.0?} over {size} {}, too long for a larger crowd", facts.name, crowd.name());
    }
    (reading, took <= QUICK)
}

fn run(arguments: &Arguments) -> Fallible<()> {
    let results = survey(arguments)?;
    println!("\n{}", report::text(&results, &arguments.sizes()));
    if let Some(path) = &arguments.json {
        write_json(path, &report::json(&results, arguments))?;
    }
    if let Some(path) = &arguments.svg {
        chart::draw(&results, &arguments.sizes(), path)
            .map_err(|error| format!("--svg {}: {error}", path.display()))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    command::main(run)
}
