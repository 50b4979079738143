//! The curves in numbers, for eyes and for machines.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Value, json};

use crate::{
    arguments::Arguments,
    contenders::{Facts, Role},
    measure::Crowd,
    results::{Measure, Results},
};

pub(crate) fn text(results: &Results, sizes: &[usize]) -> String {
    let tables = Crowd::ALL.into_iter().flat_map(|crowd| Measure::ALL.map(|measure| (crowd, measure)));
    let tables = tables.map(|(crowd, measure)| {
        format!(
            "{} per {}, and in brackets ours divided by theirs (below 1: ours is ahead)\n{}",
            measure.unit(),
            crowd.of_one(),
            table(results, sizes, crowd, measure)
        )
    });
    tables.collect::<Vec<_>>().join("\n\n")
}

fn table(results: &Results, sizes: &[usize], crowd: Crowd, measure: Measure) -> Table {
    let mut table = Table::new();
    let names = results.field.iter().map(|facts| facts.name.replace(" + ", "\n+ "));
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header([crowd.name().to_string()].into_iter().chain(names));
    for &size in sizes {
        let of = |contender| results.median(crowd, size, contender, measure);
        let ours = results.field.iter().position(|facts| facts.role == Role::Ours).and_then(of);
        let cells = results.field.iter().enumerate().map(|(contender, facts)| match (of(contender), ours) {
            (None, _) => "–".to_string(),
            (Some(theirs), Some(ours)) if facts.role != Role::Ours => format!("{theirs:.0} ({:.2})", ours / theirs),
            (Some(measured), _) => format!("{measured:.0}"),
        });
        table.add_row([size.to_string()].into_iter().chain(cells));
    }
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

pub(crate) fn json(results: &Results, arguments: &Arguments) -> Value {
    let points: Vec<_> = results
        .points
        .iter()
        .map(|point| {
            json!({
                "crowd": point.crowd.name(),
                "size": point.size,
                "contender": results.field[point.contender].name,
                "nanoseconds_per_call": point.samples[Measure::Time as usize],
                "nanoseconds_per_call_median": point.median(Measure::Time),
                "bytes_per_call": point.samples[Measure::Size as usize],
                "bytes_per_call_median": point.median(Measure::Size),
            })
        })
        .collect();
    json!({
        "rounds": arguments.rounds,
        "largest": arguments.largest,
        "contenders": results.field.iter().map(Facts::json).collect::<Vec<_>>(),
        "points": points,
    })
}
