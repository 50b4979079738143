//! A ratio held against its bar.

use serde_json::{Value, json};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    /// Ours divided by the reference.
    pub(crate) ratio: f64,
    /// The largest ratio that meets the bar.
    pub(crate) bar: f64,
}

impl Verdict {
    fn is_met(self) -> bool {
        self.ratio <= self.bar
    }

    /// A dash where there is no bar, or where one of the two wasn't measured.
    pub(crate) fn cell(verdict: Option<Self>) -> String {
        let Some(verdict) = verdict else { return "–".into() };
        let Self { ratio, bar } = verdict;
        if verdict.is_met() { format!("{ratio:.3} ≤ {bar:.3} met") } else { format!("{ratio:.3} > {bar:.3} MISSED") }
    }

    pub(crate) fn json(self) -> Value {
        json!({ "ratio": self.ratio, "bar": self.bar, "met": self.is_met() })
    }
}
