//! The final report, as a table and as JSON.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Value, json};

use crate::report::{ArmReport, Report, human};

const HEADER: [&str; 9] = ["scenario", "arm", "requests", "queries", "wall", "mean", "p50", "p99", "direct/coalesced"];
const FIRST_NUMBER: usize = 2;

pub(crate) fn text(reports: &[Report]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(HEADER);
    for report in reports {
        for (index, arm) in report.arms.iter().enumerate() {
            let first = index == 0;
            table.add_row([
                if first { report.scenario.name() } else { String::new() },
                arm.arm.to_string(),
                requests(arm),
                arm.queries.to_string(),
                human(arm.burst.wall),
                human(arm.burst.mean()),
                human(arm.burst.percentile(50)),
                human(arm.burst.percentile(99)),
                if first { report.ratio().map_or("–".to_string(), ratio) } else { String::new() },
            ]);
        }
    }
    for column in table.column_iter_mut().skip(FIRST_NUMBER) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!(
        "{table}\ndirect/coalesced: wall time, direct over coalesced, of as many requests. mean, p50, p99: of those that got a response."
    )
}

fn requests(arm: &ArmReport) -> String {
    let burst = &arm.burst;
    let mut text = burst.requests().to_string();
    let others =
        [(burst.refused, "got 429"), (burst.hung_up, "hung up"), (burst.stale, "stale"), (burst.wrong, "wrong")];
    for (number, what) in others {
        if number > 0 {
            text = format!("{text}, {number} {what}");
        }
    }
    if arm.is_sample { format!("{text} (sample)") } else { text }
}

fn ratio(ratio: f64) -> String {
    if ratio < 10.0 { format!("× {ratio:.1}") } else { format!("× {ratio:.0}") }
}

pub(crate) fn json(reports: &[Report]) -> Value {
    let scenarios: Vec<_> = reports.iter().map(scenario).collect();
    json!({ "holds": reports.iter().all(|report| report.broken_claims().next().is_none()), "scenarios": scenarios })
}

fn scenario(report: &Report) -> Value {
    let claims: Vec<_> =
        report.claims.iter().map(|claim| json!({ "claim": claim.text, "holds": claim.holds })).collect();
    json!({
        "scenario": report.scenario.name(),
        "arms": report.arms.iter().map(arm).collect::<Vec<_>>(),
        "wall_ratio": report.ratio(),
        "claims": claims,
        "notes": report.notes,
    })
}

fn arm(report: &ArmReport) -> Value {
    let burst = &report.burst;
    json!({
        "arm": report.arm.to_string(),
        "is_sample": report.is_sample,
        "requests": burst.requests(),
        "right": burst.right,
        "refused": burst.refused,
        "stale": burst.stale,
        "wrong": burst.wrong,
        "hung_up": burst.hung_up,
        "queries": report.queries,
        "windows": report.windows,
        "wall_ms": milliseconds(burst.wall),
        "mean_ms": milliseconds(burst.mean()),
        "p50_ms": milliseconds(burst.percentile(50)),
        "p99_ms": milliseconds(burst.percentile(99)),
    })
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
