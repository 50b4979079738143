//! The curves in numbers, for eyes and for machines.

use comfy_table::Table;
use serde_json::{Value, json};

use crate::{
    arguments::Arguments,
    contenders::Facts,
    measure::Crowd,
    results::{Measure, Results},
    table::table,
};

pub(crate) fn text(results: &Results, sizes: &[usize]) -> String {
    let tables = Crowd::ALL.into_iter().flat_map(|crowd| Measure::ALL.map(|measure| (crowd, measure)));
    let tables = tables.map(|(crowd, measure)| {
        format!(
            "{} per {}, and in brackets ours divided by theirs (below 1: ours is ahead)\n{}",
            measure.unit(),
            crowd.of_one(),
            rows(results, sizes, crowd, measure)
        )
    });
    tables.collect::<Vec<_>>().join("\n\n")
}

fn rows(results: &Results, sizes: &[usize], crowd: Crowd, measure: Measure) -> Table {
    let names = results.field.iter().map(|facts| facts.name.clone());
    let mut table = table(0, [crowd.name().to_string()].into_iter().chain(names));
    let ours = results.field.iter().position(|facts| facts.role.is_ours());
    for &size in sizes {
        let of = |contender| results.median(crowd, size, contender, measure);
        let cells = (0..results.field.len()).map(|contender| match (of(contender), ours.and_then(of)) {
            (None, _) => "–".to_string(),
            (Some(theirs), Some(ours_median)) if Some(contender) != ours => {
                format!("{theirs:.0} ({:.2})", ours_median / theirs)
            }
            (Some(measured), _) => format!("{measured:.0}"),
        });
        table.add_row([size.to_string()].into_iter().chain(cells));
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
