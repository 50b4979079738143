//! The dashboard and the alert rules of `examples/observability`, held against what is exported.

use std::{collections::BTreeSet, fs, path::Path};

use shardflight::Coalescer;

use crate::exported::Exported;

const ASKING: [&str; 3] = ["grafana/dashboards/shardflight.json", "prometheus/rules.yml", "prometheus/rules_test.yml"];

/// Everything in a text that looks like the name of a metric of ours; of a histogram's, without what tells its parts.
fn names_in(text: &str) -> impl Iterator<Item = String> {
    let starts = text.match_indices("shardflight_").map(|(start, _)| &text[start..]);
    let names = starts.map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap_or(rest));
    names.map(|name| {
        let parts = ["_bucket", "_sum", "_count"];
        parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name).to_owned()
    })
}

fn asked_for(file: &str) -> BTreeSet<String> {
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
async fn the_dashboard_and_the_rules_query_only_exported_names() {
    let exported = exported();
    for file in ASKING {
        let asked = asked_for(file);
        assert!(!asked.is_empty(), "{file} asks for nothing");
        let missing: Vec<_> = asked.difference(&exported).collect();
        assert!(missing.is_empty(), "{file} asks for {missing:?}");
    }
}

#[tokio::test]
async fn the_dashboard_shows_everything_that_is_exported() {
    let (exported, shown) = (exported(), asked_for(ASKING[0]));
    let missing: Vec<_> = exported.difference(&shown).collect();
    assert!(missing.is_empty(), "{missing:?} is on no panel");
}
