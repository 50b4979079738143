//! What was measured, as tables and as JSON.

use serde_json::{Value, json};

use crate::{
    contenders::{Facts, Role},
    table::table,
    verdict::Verdict,
};

/// In bytes.
pub(crate) struct Held {
    /// Per caller of one flight, its future included.
    pub(crate) waiter: f64,
    /// The future alone.
    pub(crate) future: usize,
    /// Per key in flight: its caller, its entry, its work and the task that runs it, if any.
    pub(crate) key: f64,
}

/// What ours may hold, divided by what the reference holds. Both contenders of ours have the same bars.
struct Bar {
    what: &'static str,
    held: fn(&Held) -> f64,
    reference: &'static str,
    most: f64,
}

static BARS: [Bar; 2] = [
    Bar { what: "waiter", held: |held| held.waiter, reference: "rs-singleflight", most: 0.5 },
    Bar { what: "key", held: |held| held.key, reference: "rs-singleflight + spawn", most: 1.0 },
];

impl Bar {
    /// `None` if either wasn't measured.
    fn judge(&self, measured: &[(Facts, Held)], role: Role) -> Option<Verdict> {
        let (_, ours) = measured.iter().find(|(facts, _)| facts.role == role)?;
        let (_, theirs) = measured.iter().find(|(facts, _)| facts.name == self.reference)?;
        Some(Verdict { ratio: (self.held)(ours) / (self.held)(theirs), bar: self.most })
    }
}

pub(crate) fn text(measured: &[(Facts, Held)]) -> String {
    let ours = measured.iter().find(|(facts, _)| facts.role.is_ours());
    let mut bytes = table(1, ["contender", "bytes per waiter", "of these its future", "bytes per key"]);
    for (facts, held) in measured {
        let cell = |of: fn(&Held) -> f64| match ours {
            Some((first, ours)) if facts.name != first.name => {
                format!("{:.0} ({:.2})", of(held), of(ours) / of(held))
            }
            _ => format!("{:.0}", of(held)),
        };
        bytes.add_row([facts.name.clone(), cell(|held| held.waiter), held.future.to_string(), cell(|held| held.key)]);
    }
    let ratios = ours.map_or(String::new(), |(facts, _)| format!(", and in brackets {} divided by it", facts.name));
    let mut bars = table(2, ["bytes per", "reference", "detached", "in place"]);
    for bar in &BARS {
        let cell = |role| Verdict::cell(bar.judge(measured, role));
        bars.add_row([bar.what, bar.reference, &cell(Role::Ours), &cell(Role::OursInPlace)]);
    }
    format!("live bytes{ratios}\n{bytes}\n\nours divided by the reference, and the bars\n{bars}")
}

pub(crate) fn json(measured: &[(Facts, Held)]) -> Value {
    let contenders: Vec<_> = measured
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
    let mut bars = Vec::new();
    for bar in &BARS {
        for (run_work, role) in [("detached", Role::Ours), ("in place", Role::OursInPlace)] {
            let Some(verdict) = bar.judge(measured, role) else { continue };
            let mut value = verdict.json();
            value["bytes_per"] = json!(bar.what);
            value["run_work"] = json!(run_work);
            value["reference"] = json!(bar.reference);
            bars.push(value);
        }
    }
    json!({ "contenders": contenders, "bars": bars })
}
