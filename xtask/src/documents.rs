//! What the documents name has to be there: files, headings, checks.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::arguments;

/// Where documents are, from the root of the repository. Those of the libraries' sources are rustdoc's to check.
const FOLDERS: [&str; 8] =
    ["", "docs", "docs/guide", "benches", "examples", "examples/observability", "macros", "xtask"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Each with its path and text.
fn documents() -> Vec<(PathBuf, String)> {
    let folders = FOLDERS.map(|folder| root().join(folder));
    let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let paths = files.map(|file| file.expect("a file's name").path());
    let documents = paths.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let read = |path: PathBuf| (path.clone(), fs::read_to_string(path).expect("a document"));
    documents.map(read).collect()
}

/// The text outside of fenced code.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// The targets of links to files and headings of the repository.
fn targets(text: &str) -> Vec<String> {
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let definitions = text.lines().filter(|line| line.starts_with('[')).filter_map(|line| line.split_once("]: "));
    let all = inline.chain(definitions.map(|(_, target)| target));
    all.filter(|target| !target.contains("://")).map(ToOwned::to_owned).collect()
}

/// A heading's name in links to it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
}

fn has_heading(text: &str, name: &str) -> bool {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.into_iter().any(|line| anchor(line.trim_start_matches('#')) == name)
}

/// Whether the link leads to a file of the repository, and to a heading of it if it names one.
fn leads_somewhere(document: &Path, text: &str, target: &str) -> bool {
    let (file, heading) = target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
    let path = document.parent().expect("a folder").join(file);
    match heading {
        None => path.exists(),
        Some(heading) if file.is_empty() => has_heading(text, heading),
        Some(heading) => fs::read_to_string(path).is_ok_and(|text| has_heading(&text, heading)),
    }
}

/// What is written behind `cargo xtask`, up to the end of the line, of the code or of the command.
fn checks(text: &str) -> Vec<String> {
    let rests = text.split("cargo xtask ").skip(1);
    let commands = rests.filter_map(|rest| rest.split(['`', '\n', '#', '(', '"']).next());
    commands.map(|command| command.trim().to_owned()).collect()
}

#[test]
fn links_lead_somewhere() {
    let documents = documents();
    assert!(documents.len() > 10, "only {} documents", documents.len());
    let mut broken = Vec::new();
    for (path, text) in &documents {
        let targets = targets(&prose(text));
        let lost = targets.into_iter().filter(|target| !leads_somewhere(path, text, target));
        broken.extend(lost.map(|target| format!("{}: {target}", path.display())));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// All files in a folder, and in those within it.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file's name").path());
    entries.flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] }).collect()
}

#[test]
fn each_source_file_has_its_row_in_the_code_map() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("a document");
    let has_row = |path: &Path| {
        let (file, folders) = (format!("`{}`", path.display()), path.ancestors().skip(1));
        map.contains(&file)
            || folders
                .take_while(|folder| folder.components().count() > 1)
                .any(|folder| map.contains(&format!("`{}/`", folder.display())))
    };
    let sources = ["src", "macros/src"].iter().flat_map(|folder| files_in(&root().join(folder)));
    let sources: Vec<_> = sources.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect();
    assert!(sources.len() > 100, "{}", sources.len());
    let relative = sources.iter().map(|path| path.strip_prefix(root()).expect("a path in the repository"));
    let missing: Vec<_> = relative.filter(|path| !has_row(path)).collect();
    assert!(missing.is_empty(), "without a row: {missing:?}");
}

#[test]
fn files_in_the_code_map_exist() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("a document");
    let named =
        map.split('`').skip(1).step_by(2).filter(|name| name.starts_with("src/") || name.starts_with("macros/src/"));
    let missing: Vec<_> = named.filter(|name| !root().join(name).exists()).collect();
    assert!(missing.is_empty(), "in the code map, but not in the repository: {missing:?}");
}

#[test]
fn documented_checks_exist() {
    let documents = documents();
    let checks: Vec<_> = documents.iter().flat_map(|(_, text)| checks(text)).collect();
    assert!(checks.len() > 10, "only {checks:?}");
    for check in checks {
        let parsed = arguments::read(lexopt::Parser::from_args(check.split_whitespace()));
        assert!(parsed.is_ok_and(|check| check.is_some()), "cargo xtask {check}");
    }
}

/// Signatures of public methods whose documentation has no examples.
fn without_examples(source: &str) -> Vec<&str> {
    let mut documentation = String::new();
    let mut found = Vec::new();
    for line in source.lines().map(str::trim) {
        if line.starts_with("///") {
            documentation.push_str(line);
        } else if !line.starts_with("#[") {
            let is_public = line.starts_with("pub fn ") || line.starts_with("pub async fn ");
            if is_public && !documentation.contains("# Examples") {
                found.push(line);
            }
            documentation.clear();
        }
    }
    found
}

#[test]
fn each_method_of_a_handle_has_an_example() {
    let folder = root().join("src/handle");
    let sources = fs::read_dir(folder).expect("the handle's sources").map(|file| file.expect("a source").path());
    let sources: Vec<_> = sources.chain([root().join("src/join/blocking.rs")]).collect();
    let texts: Vec<_> = sources.iter().map(|path| fs::read_to_string(path).expect("a source")).collect();
    assert!(texts.iter().any(|text| text.contains("pub fn join<")));
    let found: Vec<_> = texts.iter().flat_map(|text| without_examples(text)).collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// The last two cells of a table's rows, where they are ratios.
fn ratios(text: &str) -> Vec<String> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    let ratios = cells.filter_map(|cells| cells.last_chunk().map(|[one, two]: &[&str; 2]| format!("{one} | {two}")));
    ratios.filter(|ratios| ratios.contains(" / ")).collect()
}

#[test]
fn the_readmes_numbers_are_those_of_the_page_on_performance() {
    let read = |file| fs::read_to_string(root().join(file)).expect("a document");
    let (shown, measured) = (ratios(&read("README.md")), ratios(&read("docs/performance.md")));
    assert!(!shown.is_empty());
    let others: Vec<_> = shown.iter().filter(|ratios| !measured.contains(ratios)).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn anchors_are_as_browsers_have_them() {
    assert_eq!(anchor(" What is said of `Vary`, and why"), "what-is-said-of-vary-and-why");
    assert!(has_heading("# One\n## Two words", "two-words") && !has_heading("two-words", "two-words"));
}
