//! The results, as tables and as JSON.

use comfy_table::Table;
use serde_json::{Value, json};

use crate::{
    arguments::{Arguments, Flavour},
    bars::{Judgement, judge},
    contenders::Facts,
    results::{Measure, Results},
    table::table,
    verdict::Verdict,
    workloads::{Pattern, Workload},
};

pub(crate) fn text(results: &Results, flavour: Flavour) -> String {
    let mut text = format!(
        "{}: ns per call{}\n{}",
        flavour.name(),
        ours(results)
            .map_or(String::new(), |ours| format!(", and in brackets {} divided by it", results.field[ours].name)),
        times(results, flavour)
    );
    let judgements = judge(results, flavour);
    if !judgements.is_empty() {
        text =
            format!("{text}\n\n{}: ours divided by the reference, and the bars\n{}", flavour.name(), bars(&judgements));
    }
    text
}

/// Ratios are those of our first contender.
fn ours(results: &Results) -> Option<usize> {
    results.field.iter().position(|facts| facts.role.is_ours())
}

fn times(results: &Results, flavour: Flavour) -> Table {
    let header = results.field.iter().map(|facts| facts.name.clone());
    let mut table = table(1, ["workload".to_string()].into_iter().chain(header));
    for workload in &results.workloads {
        table.add_row(row(results, flavour, workload, Measure::Time));
        if matches!(workload.pattern, Pattern::Loop { .. }) {
            table.add_row(row(results, flavour, workload, Measure::Executions));
        }
    }
    table
}

fn row(results: &Results, flavour: Flavour, workload: &Workload, measure: Measure) -> Vec<String> {
    let median = |contender| results.median(flavour, workload.name, contender, measure);
    let ours = ours(results);
    let cells = (0..results.field.len()).map(|contender| {
        let Some(theirs) = median(contender) else { return "–".into() };
        let text = match measure {
            Measure::Time => format!("{theirs:.0}"),
            Measure::Executions => format!("{theirs:.2}"),
        };
        match ours.and_then(median) {
            Some(ours_median) if ours != Some(contender) => format!("{text} ({:.2})", ours_median / theirs),
            _ => text,
        }
    });
    [label(workload.name, measure)].into_iter().chain(cells).collect()
}

fn label(workload: &str, measure: Measure) -> String {
    match measure {
        Measure::Time => workload.into(),
        Measure::Executions => format!("{workload}, executions/100"),
    }
}

fn bars(judgements: &[Judgement]) -> Table {
    let mut table = table(2, ["workload", "reference", "detached", "in place"]);
    for Judgement { workload, reference, detached, in_place } in judgements {
        table.add_row([workload, reference.as_str(), &Verdict::cell(*detached), &Verdict::cell(*in_place)]);
    }
    table
}

pub(crate) fn json(results: &Results, arguments: &Arguments) -> Value {
    let runs: Vec<_> = results
        .runs
        .iter()
        .map(|runs| {
            json!({
                "flavour": runs.flavour.name(),
                "workload": runs.workload,
                "contender": results.field[runs.contender].name,
                "nanoseconds_per_call": runs.measured(Measure::Time),
                "nanoseconds_per_call_median": runs.median(Measure::Time),
                "executions_per_100_calls": runs.measured(Measure::Executions),
                "executions_per_100_calls_median": runs.median(Measure::Executions),
            })
        })
        .collect();
    let bars = results
        .flavours
        .iter()
        .flat_map(|&flavour| judge(results, flavour).into_iter().flat_map(move |judgement| judgement.json(flavour)));
    json!({
        "rounds": arguments.rounds,
        "quick": arguments.quick,
        "contenders": results.field.iter().map(Facts::json).collect::<Vec<_>>(),
        "runs": runs,
        "bars": bars.collect::<Vec<_>>(),
    })
}
