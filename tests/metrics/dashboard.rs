//! The dashboard and the alert rules of `examples/observability` match what is exported to an exporter that is set up as the
//! instructions say.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use shardflight::{
    Coalescer,
    cache::Cache,
    redis::Cluster,
    tower::{Answer, Key},
};

use crate::exported::Exported;

const DASHBOARD: &str = "examples/observability/grafana/dashboards/shardflight.json";
const QUERY_FILES: [&str; 3] =
    [DASHBOARD, "examples/observability/prometheus/rules.yml", "examples/observability/prometheus/rules_test.yml"];

/// Where users find how to set up their exporter.
const INSTRUCTIONS: [&str; 4] =
    ["docs/features.md", "src/metrics/builder.rs", "src/metrics/bounds.rs", "examples/observability/exporter.rs"];

/// The suffixes of a histogram's series.
const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];

pub(crate) fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of the series that a file asks for.
fn queried(file: &str) -> BTreeSet<String> {
    let text = read(file);
    let starts = text.match_indices("shardflight_").map(|(start, _)| &text[start..]);
    let names = starts.map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap_or(rest));
    names.map(ToOwned::to_owned).collect()
}

/// A metric's name without the suffix of a histogram's series.
fn metric(series: &str) -> &str {
    PARTS.iter().find_map(|part| series.strip_suffix(part)).unwrap_or(series)
}

/// What a service exports that has a coalescer, an HTTP layer, a cache and a cluster.
fn exported() -> Exported {
    let exported = Exported::new();
    exported.to(|| Coalescer::<u32, u32>::builder().metrics("users").build().unwrap());
    exported.to(|| Coalescer::<Key, Answer>::builder().metrics("http").build().unwrap());
    exported.to(|| Cache::<u32, u32, ()>::builder().ttl(Duration::from_mins(1)).metrics("profiles").build().unwrap());
    exported.to(|| Cluster::builder("redis://127.0.0.1").namespace("users").metrics("users").build().unwrap());
    exported
}

#[tokio::test]
async fn dashboard_and_rules_query_exported_series() {
    let series = exported().series();
    for file in QUERY_FILES {
        let queried = queried(file);
        assert!(!queried.is_empty(), "{file} queries nothing");
        let missing: Vec<_> = queried.difference(&series).collect();
        assert!(missing.is_empty(), "{file} queries {missing:?}");
    }
}

#[tokio::test]
async fn queries_fit_the_types() {
    let types = exported().types();
    for series in QUERY_FILES.into_iter().flat_map(queried) {
        let kind = if series.ends_with("_total") {
            "counter"
        } else if metric(&series) == series {
            "gauge"
        } else {
            "histogram"
        };
        assert_eq!(types[metric(&series)], kind, "{series}");
    }
}

#[tokio::test]
async fn queries_ask_for_outcomes_that_exist() {
    let outcomes = exported().labels().remove("outcome").unwrap();
    let queries = QUERY_FILES.map(read).concat().replace('\\', "");
    let asked: BTreeSet<_> = queries.split("outcome=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|outcome| outcomes.contains(*outcome)), "{asked:?} in {outcomes:?}");
}

#[tokio::test]
async fn the_dashboard_shows_all_metrics() {
    let (exported, shown) = (exported().names(), queried(DASHBOARD));
    let shown: BTreeSet<_> = shown.iter().map(|series| metric(series).to_owned()).collect();
    let missing: Vec<_> = exported.difference(&shown).collect();
    assert!(missing.is_empty(), "{missing:?} is on no panel");
}

#[test]
fn all_instructions_set_the_buckets_as_the_tests_do() {
    let line = ".set_buckets_for_metric(Matcher::Prefix(\"shardflight_\".into()), shardflight::metrics::buckets())?";
    let setup = include_str!("exported.rs");
    assert!(setup.contains(line), "the tests set up another exporter");
    for file in INSTRUCTIONS {
        assert!(read(file).contains(line), "{file} doesn't set the buckets");
    }
}

#[test]
fn buckets_ascend() {
    let buckets = shardflight::metrics::buckets();
    assert!(buckets.is_sorted_by(|one, next| one < next) && buckets[0] > 0.0, "{buckets:?}");
    // The bounds that matter: a cache's latency, the default deadline, and a crowd.
    assert!(buckets.contains(&0.001) && buckets.contains(&30.0) && buckets.contains(&1_000.0));
}
