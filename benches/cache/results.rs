//! The results, as tables and as JSON.

use serde_json::{Value, json};

use crate::{
    median::median,
    table::table,
    verdict::Verdict,
    workloads::{Bar, Group, Workload},
};

/// The median of a contender's samples.
fn middle(workload: &Workload, contender: usize, measure: usize) -> f64 {
    let samples: Vec<_> = workload.samples[contender].iter().map(|sample| sample[measure]).collect();
    median(&samples).expect("a round or more")
}

fn verdict(group: &Group, workload: &Workload, measure: usize, bar: Bar) -> Verdict {
    let ours = middle(workload, 0, measure);
    let ratio = bar.reference.map_or(ours, |reference| {
        let index = group.contenders.iter().position(|contender| *contender == reference);
        ours / middle(workload, index.expect("a contender of the group"), measure)
    });
    Verdict { ratio, bar: bar.most }
}

pub(crate) fn text(group: &Group) -> String {
    let header = ["workload", "measured"].into_iter().chain(group.contenders.iter().copied()).chain(["bars"]);
    let mut rows = table(2, header);
    for workload in &group.workloads {
        for (index, measure) in workload.measures.iter().enumerate() {
            let ours = middle(workload, 0, index);
            let cells = (0..group.contenders.len()).map(|contender| {
                let theirs = middle(workload, contender, index);
                let number = if theirs < 100.0 { format!("{theirs:.1}") } else { format!("{theirs:.0}") };
                if contender == 0 || theirs == 0.0 { number } else { format!("{number} ({:.2})", ours / theirs) }
            });
            let bars = measure.bars.iter().map(|&bar| {
                let said = Verdict::cell(Some(verdict(group, workload, index, bar)));
                bar.reference.map_or(said.clone(), |reference| format!("{said}: {reference}"))
            });
            let bars: Vec<_> = bars.collect();
            rows.add_row(
                [workload.name.clone(), measure.name.into()].into_iter().chain(cells).chain([bars.join("\n")]),
            );
        }
    }
    format!("{}, and in brackets ours divided by it\n{rows}", group.title)
}

pub(crate) fn json(group: &Group) -> Value {
    let workload = |workload: &Workload| {
        let measure = |(index, measure): (usize, &crate::workloads::Measure)| {
            let contender = |contender: usize| {
                json!({
                    "contender": group.contenders[contender],
                    "samples": workload.samples[contender].iter().map(|sample| sample[index]).collect::<Vec<_>>(),
                    "median": middle(workload, contender, index),
                })
            };
            let bar = |&bar: &Bar| {
                let mut value = verdict(group, workload, index, bar).json();
                value["reference"] = json!(bar.reference);
                value
            };
            json!({
                "measured": measure.name,
                "contenders": (0..group.contenders.len()).map(contender).collect::<Vec<_>>(),
                "bars": measure.bars.iter().map(bar).collect::<Vec<_>>(),
            })
        };
        let measures: Vec<_> = workload.measures.iter().enumerate().map(measure).collect();
        json!({ "workload": workload.name, "measures": measures })
    };
    json!({ "group": group.title, "workloads": group.workloads.iter().map(workload).collect::<Vec<_>>() })
}
