//! The tables at the end of the run.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use shardflight::Stats;

use crate::{
    answer::Answer,
    sample::Phase,
    soak::{Log, mebibytes},
};

pub(crate) fn text(log: &Log) -> String {
    format!("{}\n{}\n{}", answers(log), counters(log), rests(log))
}

/// Calls per second of load, as there are no calls during a rest.
fn answers(log: &Log) -> String {
    let mut busy = 0.0;
    for pair in log.samples.windows(2).filter(|pair| pair[0].phase == Phase::Load) {
        busy += pair[1].at.saturating_sub(pair[0].at).as_secs_f64();
    }
    let mut table = table(["answer", "calls", "calls/s"]);
    let per_second = |calls: u64| format!("{:.0}", calls as f64 / f64::max(busy, 1.0));
    for (answer, name) in Answer::ALL {
        let calls = log.tally.of(answer);
        if calls == 0 {
            continue;
        }
        table.add_row([name.to_string(), calls.to_string(), per_second(calls)]);
    }
    let total = log.tally.total();
    table.add_row(["all".to_string(), total.to_string(), per_second(total)]);
    align(table)
}

fn counters(log: &Log) -> String {
    let header = ["coalescer", "joins", "executions", "coalesced", "rejected", "bypassed", "departed", "aborted"];
    let mut table = table(header);
    for (name, stats) in &log.stats {
        let Stats { joins, executions, coalesced, rejections, bypasses, departures, aborts, .. } = stats;
        let counts = [joins, executions, coalesced, rejections, bypasses, departures, aborts];
        table.add_row([(*name).to_string()].into_iter().chain(counts.map(ToString::to_string)));
    }
    align(table)
}

/// At most a dozen rests.
fn rests(log: &Log) -> String {
    let rests: Vec<_> = log.samples.iter().filter(|sample| sample.phase == Phase::EndOfRest).collect();
    let mut table = table(["rest at", "live MiB", "resident MiB", "tasks", "flights", "waiters", "values"]);
    for rest in rests.iter().step_by(rests.len().div_ceil(12).max(1)) {
        table.add_row([
            format!("{:.0} s", rest.at.as_secs_f64()),
            format!("{:.3}", mebibytes(rest.live)),
            rest.resident.map_or_else(|| "unknown".to_string(), |bytes| format!("{:.1}", mebibytes(bytes))),
            rest.tasks.to_string(),
            rest.flights.to_string(),
            rest.waiters.to_string(),
            rest.values.to_string(),
        ]);
    }
    align(table)
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    table
}

fn align(mut table: Table) -> String {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}
