//! What is written of the alerts matches their rules.

use crate::dashboard::read;

const RULES: &str = "examples/observability/prometheus/rules.yml";
const OVERVIEW: &str = "examples/observability/README.md";
const RUNBOOK: &str = "docs/guide/runbook.md";

/// What follows this in lines that begin with it, up to the next character that can't be part of a name.
fn named(file: &str, before: &str) -> Vec<String> {
    let text = read(file);
    let rests = text.lines().filter_map(|line| line.trim_start().strip_prefix(before));
    let names = rests.map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or(rest));
    names.filter(|name| name.starts_with("Shardflight")).map(ToOwned::to_owned).collect()
}

/// In the order of the rules.
fn alerts() -> Vec<String> {
    let alerts = named(RULES, "- alert: ");
    assert!(!alerts.is_empty(), "{RULES} has no alerts");
    alerts
}

#[test]
fn the_runbook_has_a_section_for_each_alert() {
    assert_eq!(named(RUNBOOK, "## "), alerts());
}

#[test]
fn each_section_says_what_it_means_where_to_look_and_what_to_do() {
    let text = read(RUNBOOK);
    for section in text.split("\n## ").skip(1) {
        let name = section.lines().next().unwrap_or(section);
        for part in ["**Means:** ", "**Look at:** ", "**Do:** "] {
            assert_eq!(section.matches(&format!("\n{part}")).count(), 1, "{part} of {name}");
        }
    }
}

#[test]
fn the_overview_lists_all_alerts() {
    assert_eq!(named(OVERVIEW, "| `"), alerts());
}
