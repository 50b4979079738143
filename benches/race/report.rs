//! The end of the race, for eyes and for machines.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Value, json};

use crate::{
    arguments::{Arguments, Flavour},
    bars::{Verdict, judge},
    contenders::{Facts, Role},
    results::{Measure, Results},
    workloads::{Pattern, Workload},
};

pub(crate) fn text(results: &Results, flavour: Flavour) -> String {
    let mut text = format!(
        "{}: ns per call, and in brackets ours divided by theirs (below 1: ours is ahead)\n{}",
        flavour.name(),
        times(results, flavour)
    );
    let verdicts = judge(results, flavour);
    if !verdicts.is_empty() {
        text = format!("{text}\n\n{}: the bars\n{}", flavour.name(), bars(&verdicts));
    }
    text
}

fn times(results: &Results, flavour: Flavour) -> Table {
    let header = results.field.iter().map(|facts| facts.name.replace(" + ", "\n+ "));
    let mut table = table(["workload".to_string()].into_iter().chain(header));
    for workload in &results.workloads {
        table.add_row(row(results, flavour, workload, Measure::Time));
        if matches!(workload.pattern, Pattern::Loop { .. }) {
            table.add_row(row(results, flavour, workload, Measure::Executions));
        }
    }
    table
}

fn row(results: &Results, flavour: Flavour, workload: &Workload, measure: Measure) -> Vec<String> {
    let ours = results
        .field
        .iter()
        .position(|facts| facts.role == Role::Ours)
        .and_then(|ours| results.median(flavour, workload.name, ours, measure));
    let cells = results.field.iter().enumerate().map(|(index, facts)| {
        let Some(median) = results.median(flavour, workload.name, index, measure) else { return "–".into() };
        let median_text = match measure {
            Measure::Time => format!("{median:.0}"),
            Measure::Executions => format!("{median:.2}"),
        };
        match ours {
            Some(ours) if facts.role != Role::Ours => format!("{median_text} ({:.2})", ours / median),
            _ => median_text,
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

fn bars(verdicts: &[Verdict]) -> Table {
    let mut table = table(["workload", "reference", "ours/theirs", "bar", ""].map(String::from));
    for verdict in verdicts {
        table.add_row([
            label(verdict.bar.workload, verdict.bar.measure),
            verdict.reference.clone(),
            format!("{:.3}", verdict.ratio),
            format!("≤ {:.2}", verdict.bar.most),
            if verdict.is_met() { "met" } else { "MISSED" }.into(),
        ]);
    }
    if let Some(references) = table.column_mut(1) {
        references.set_cell_alignment(CellAlignment::Left);
    }
    table
}

fn table(header: impl IntoIterator<Item = String>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
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
    let bars: Vec<_> = results.flavours.iter().flat_map(|flavour| verdicts(results, *flavour)).collect();
    json!({
        "rounds": arguments.rounds,
        "quick": arguments.quick,
        "contenders": results.field.iter().map(Facts::json).collect::<Vec<_>>(),
        "runs": runs,
        "bars": bars,
    })
}

fn verdicts(results: &Results, flavour: Flavour) -> Vec<Value> {
    judge(results, flavour)
        .iter()
        .map(|verdict| {
            json!({
                "flavour": flavour.name(),
                "workload": verdict.bar.workload,
                "measure": format!("{:?}", verdict.bar.measure),
                "reference": verdict.reference,
                "ratio": verdict.ratio,
                "bar": verdict.bar.most,
                "met": verdict.is_met(),
            })
        })
        .collect()
}
