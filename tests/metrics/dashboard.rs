//! The dashboard and the alert rules of `examples/observability` match the exported metrics.

use std::{collections::BTreeSet, fs, path::Path};

use shardflight::Coalescer;

use crate::exported::Exported;

const QUERY_FILES: [&str; 3] =
    ["grafana/dashboards/shardflight.json", "prometheus/rules.yml", "prometheus/rules_test.yml"];

/// The metric names in a text, those of a histogram without the suffixes of its series.
fn names_in(text: &str) -> impl Iterator<Item = String> {
    let starts = text.match_indices("shardflight_").map(|(start, _)| &text[start..]);
    let names = starts.map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap_or(rest));
    names.map(|name| {
        let parts = ["_bucket", "_sum", "_count"];
        parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name).to_owned()
    })
}

fn queried(file: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/observability").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    names_in(&text).collect()
}

fn exported() -> BTreeSet<String> {
    let exported = Exported::new();
    exported.to(|| Coalescer::<u32, u32>::builder().metrics("users").build().unwrap());
    exported.names()
}

#[tokio::test]
async fn dashboard_and_rules_query_exported_names() {
    let exported = exported();
    for file in QUERY_FILES {
        let names = queried(file);
        assert!(!names.is_empty(), "{file} queries nothing");
        let missing: Vec<_> = names.difference(&exported).collect();
        assert!(missing.is_empty(), "{file} queries {missing:?}");
    }
}

#[tokio::test]
async fn the_dashboard_shows_all_metrics() {
    let (exported, shown) = (exported(), queried(QUERY_FILES[0]));
    let missing: Vec<_> = exported.difference(&shown).collect();
    assert!(missing.is_empty(), "{missing:?} is on no panel");
}
