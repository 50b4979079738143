//! The table, and the sentence with the recommended count.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

use crate::{
    advice::{Advice, TOLERANCE},
    sweep::Sweep,
};

/// With more spread, the medians of a few rounds can't tell similar counts apart.
const MOST_SPREAD: f64 = 0.25;

pub(crate) fn table(sweep: &Sweep, advice: &Advice) -> String {
    let is_one_shape = sweep.shapes.len() == 1;
    let mut table = Table::new();
    let shapes = sweep.shapes.iter().map(|shape| shape.name());
    let header = ["shards"].into_iter().chain(shapes).chain((!is_one_shape).then_some("all"));
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    for (row, count) in sweep.counts.iter().enumerate() {
        let is_default = *count == sweep.default;
        let label = if is_default { format!("{count} (default)") } else { count.to_string() };
        let overall = (!is_one_shape).then(|| cell(advice.overall[row], is_least(&advice.overall, row)));
        // The best of a column is divided by itself.
        let cells = advice.relative[row].iter().map(|relative| cell(*relative, *relative <= 1.0));
        table.add_row([label].into_iter().chain(cells).chain(overall));
    }
    let medians = sweep.medians();
    let best = (0..sweep.shapes.len()).map(|column| {
        let best = medians.iter().map(|row| row[column]).fold(f64::INFINITY, f64::min);
        format!("{best:.0} ns")
    });
    table.add_row(["best, per join".to_string()].into_iter().chain(best));
    let spread = (0..sweep.shapes.len()).map(|column| format!("{:.0} %", sweep.spread(column) * 100.0));
    table.add_row(["spread of rounds".to_string()].into_iter().chain(spread));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!(
        "time per join with {} worker threads, as a multiple of the best of the column\n{table}{}",
        sweep.workers,
        if is_one_shape { "" } else { "\nall: the geometric mean over the shapes" }
    )
}

fn cell(relative: f64, is_best: bool) -> String {
    format!("{}{relative:.2}", if is_best { "best " } else { "" })
}

fn is_least(numbers: &[f64], index: usize) -> bool {
    numbers.iter().all(|number| *number >= numbers[index])
}

pub(crate) fn sentence(sweep: &Sweep, advice: &Advice) -> String {
    let count = sweep.counts[advice.choice];
    let shards = if count == 1 { "1 shard".to_string() } else { format!("{count} shards") };
    let scope = match sweep.shapes.as_slice() {
        [shape] => format!("under the shape {:?}", shape.name()),
        _ => "over all shapes".to_string(),
    };
    let what = format!(
        "Use {shards}, the fewest within {:.0} % of the best {scope}: `Coalescer::builder().shards({count})`",
        (TOLERANCE - 1.0) * 100.0
    );
    if count == sweep.default {
        return format!("{what}, which is the default on this machine, so there is nothing to set.");
    }
    let Some(default) = sweep.counts.iter().position(|count| *count == sweep.default) else {
        return format!("{what}.");
    };
    let times = advice.overall[advice.choice] / advice.overall[default];
    let than = if advice.is_near_the_best(default) {
        format!("the default of {}, which is within that, too", sweep.default)
    } else {
        format!("the default of {}", sweep.default)
    };
    format!("{what}; a join then takes {times:.2} times as long as with {than}.")
}

/// A warning if the rounds differ by more than the counts may.
pub(crate) fn caveat(sweep: &Sweep) -> Option<String> {
    let spread = (0..sweep.shapes.len()).map(|column| sweep.spread(column)).fold(0.0, f64::max);
    (spread > MOST_SPREAD).then(|| {
        format!(
            "But the rounds differ by up to {:.0} %, more than the counts may differ: the machine is busy. Run it again on \
             an idle one, or with more --seconds and --rounds.",
            spread * 100.0
        )
    })
}
