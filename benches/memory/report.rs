//! What was weighed, for eyes and for machines.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Value, json};

use crate::contenders::{Facts, Role};

/// In bytes.
pub(crate) struct Held {
    /// Per caller of one flight, its future included.
    pub(crate) waiter: f64,
    /// The future alone.
    pub(crate) future: usize,
    /// Per key in flight: its caller, its entry, its work and whatever task that runs in.
    pub(crate) key: f64,
}

/// What ours may hold, as a part of what the reference holds.
struct Bar {
    what: &'static str,
    held: fn(&Held) -> f64,
    reference: &'static str,
    most: f64,
}

static BARS: [Bar; 2] = [
    Bar { what: "waiter", held: |held| held.waiter, reference: "rs-singleflight", most: 0.75 },
    Bar { what: "key", held: |held| held.key, reference: "rs-singleflight + spawn", most: 1.0 },
];

/// On those bars whose reference was weighed, and the ratio of each.
fn judge(weighed: &[(Facts, Held)]) -> Vec<(&'static Bar, f64)> {
    let Some((_, ours)) = weighed.iter().find(|(facts, _)| facts.role == Role::Ours) else { return Vec::new() };
    BARS.iter()
        .filter_map(|bar| {
            let (_, theirs) = weighed.iter().find(|(facts, _)| facts.name == bar.reference)?;
            Some((bar, (bar.held)(ours) / (bar.held)(theirs)))
        })
        .collect()
}

pub(crate) fn text(weighed: &[(Facts, Held)]) -> String {
    let ours = weighed.iter().find(|(facts, _)| facts.role == Role::Ours).map(|(_, held)| held);
    let mut bytes = table(["contender", "bytes per waiter", "of these its future", "bytes per key"]);
    for (facts, held) in weighed {
        let cell = |of: fn(&Held) -> f64| match ours {
            Some(ours) if facts.role != Role::Ours => format!("{:.0} ({:.2})", of(held), of(ours) / of(held)),
            _ => format!("{:.0}", of(held)),
        };
        bytes.add_row([facts.name.clone(), cell(|held| held.waiter), held.future.to_string(), cell(|held| held.key)]);
    }
    let bytes = format!("live bytes, and in brackets ours divided by theirs (below 1: ours is ahead)\n{bytes}");
    let verdicts = judge(weighed);
    if verdicts.is_empty() {
        return bytes;
    }
    let mut bars = table(["bytes per", "reference", "ours/theirs", "bar", ""]);
    for (bar, ratio) in verdicts {
        bars.add_row([
            bar.what.to_string(),
            bar.reference.to_string(),
            format!("{ratio:.3}"),
            format!("≤ {:.2}", bar.most),
            if ratio <= bar.most { "met" } else { "MISSED" }.to_string(),
        ]);
    }
    format!("{bytes}\n\nthe bars\n{bars}")
}

fn table<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

pub(crate) fn json(weighed: &[(Facts, Held)]) -> Value {
    let contenders: Vec<_> = weighed
        .iter()
        .map(|(facts, held)| {
            json!({
                "contender": facts.json(),
                "bytes_per_waiter": held.waiter,
                "bytes_of_future": held.future,
                "bytes_per_key": held.key,
            })
        })
        .collect();
    let bars: Vec<_> = judge(weighed)
        .into_iter()
        .map(|(bar, ratio)| {
            json!({
                "bytes_per": bar.what,
                "reference": bar.reference,
                "ratio": ratio,
                "bar": bar.most,
                "met": ratio <= bar.most,
            })
        })
        .collect();
    json!({ "contenders": contenders, "bars": bars })
}
