//! Counts of requests and calls, as a table.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use shardflight::tower::{CoalesceLayer, Reason};

/// How often a page was requested, and how often its handler ran.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) requests: u64,
    pub(crate) calls: u64,
}

pub(crate) fn table(rows: impl IntoIterator<Item = (&'static str, Count)>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["page", "requests", "calls of its handler"]);
    for (page, Count { requests, calls }) in rows {
        table.add_row([page.to_string(), requests.to_string(), calls.to_string()]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Pass-through counts by reason, summed over the layers.
pub(crate) fn pass_through(layers: &[CoalesceLayer]) -> String {
    let count = |reason| layers.iter().map(|layer| layer.passes().of(reason)).sum::<u64>();
    let counted = Reason::ALL.into_iter().map(|reason| (reason, count(reason)));
    let seen: Vec<_> =
        counted.filter(|(_, count)| *count > 0).map(|(reason, count)| format!("{reason} {count}")).collect();
    if seen.is_empty() { "none".to_string() } else { seen.join(", ") }
}
