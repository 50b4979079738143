//! Plants bugs one at a time into a copy of the project, and checks that the tests find them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    arguments::Part,
    process::{Failure, cargo, root, target},
};

/// A longer test run counts as hanging, and the bug as found.
const LIMIT: Duration = Duration::from_mins(4);

/// The first build takes longest.
const BUILD_LIMIT: Duration = Duration::from_mins(30);

/// A command of cargo.
type Suite = &'static [&'static str];

const INTERLEAVINGS: Suite = &["test", "--release", "--package", "interleavings"];
const UNITS: Suite = &["test", "--lib"];
/// The suites, cheapest first: a bug that one finds is not run against the others.
const SUITES: [Suite; 3] = [UNITS, INTERLEAVINGS, &["test", "--test", "behaviour"]];
/// Those of the cache, which the others don't know.
const CACHE_SUITES: [Suite; 2] = [&["test", "--package", "cache-tests", "--test", "cache"], INTERLEAVINGS];
/// Those of a limit that is learned.
const ADAPTIVE_SUITES: [Suite; 1] = [&["test", "--lib", "--features", "adaptive", "adaptive::"]];
/// Those of the live page, and of what shards count for it.
const DASHBOARD_SUITES: [Suite; 2] = [
    &["test", "--lib", "--features", "dashboard", "--", "dashboard::", "shard::tests::profile", "shard::profile"],
    &["test", "--package", "dashboard-tests", "--test", "dashboard"],
];
/// Those of flights across processes.
const REDIS_SUITES: [Suite; 2] =
    [&["test", "--lib", "--features", "redis", "redis::"], &["test", "--package", "redis-tests", "--test", "redis"]];

/// Those of the batcher.
const BATCH_SUITES: [Suite; 2] =
    [&["test", "--lib", "--features", "batch", "batch::"], &["test", "--package", "batch-tests", "--test", "batch"]];

struct List {
    bug: Vec<Bug>,
}

struct Bug {
    name: String,
    breaks: String,
    file: PathBuf,
    find: String,
    plant: String,
}

impl List {
    fn read() -> Result<Self, Failure> {
        let path = root().join("xtask/planted.toml");
        let text = fs::read_to_string(&path).map_err(Failure::of(path.display()))?;
        let list: toml::Table = text.parse().map_err(|error| Failure(format!("{}: {error}", path.display())))?;
        let bugs = list.get("bug").and_then(toml::Value::as_array).into_iter().flatten();
        Ok(Self { bug: bugs.map(Bug::read).collect::<Result<_, _>>()? })
    }
}

impl Bug {
    fn read(bug: &toml::Value) -> Result<Self, Failure> {
        let text = |field| {
            let text = bug.get(field).and_then(toml::Value::as_str).map(str::to_string);
            text.ok_or_else(|| Failure(format!("a planted bug has no {field}: {bug:?}")))
        };
        Ok(Self {
            name: text("name")?,
            breaks: text("breaks")?,
            file: text("file")?.into(),
            find: text("find")?,
            plant: text("plant")?,
        })
    }

    fn suites(&self) -> &'static [Suite] {
        match () {
            () if self.file.starts_with("src/adaptive") => &ADAPTIVE_SUITES,
            () if self.file.starts_with("src/cache") => &CACHE_SUITES,
            () if self.file.starts_with("src/batch") => &BATCH_SUITES,
            () if self.file.starts_with("src/redis") => &REDIS_SUITES,
            () if self.name.starts_with("dashboard: ") => &DASHBOARD_SUITES,
            () => &SUITES,
        }
    }

    /// The file with the bug in it.
    fn planted(&self) -> Result<String, Failure> {
        let path = root().join(&self.file);
        let text = fs::read_to_string(&path).map_err(Failure::of(path.display()))?;
        match text.matches(&self.find).count() {
            1 => Ok(text.replacen(&self.find, &self.plant, 1)),
            found => Err(Failure(format!(
                "\"{}\": its place stands {found} times in {}, not once",
                self.name,
                self.file.display()
            ))),
        }
    }
}

/// Checks that each bug still has exactly one place in the sources.
pub(crate) fn check_places() -> Result<(), Failure> {
    let list = List::read()?;
    for bug in &list.bug {
        bug.planted()?;
    }
    println!("{} bugs have their places", list.bug.len());
    Ok(())
}

/// Plants each bug in turn, and fails if the tests miss any.
pub(crate) fn plant_all(only: Option<&str>, part: Part) -> Result<(), Failure> {
    let list = List::read()?;
    let chosen = list.bug.iter().filter(|bug| only.is_none_or(|only| bug.name.contains(only)));
    let chosen: Vec<_> = chosen.skip(part.first - 1).step_by(part.each).collect();
    if chosen.is_empty() {
        return Err(Failure(format!(
            "no bug of {} is in this part and has {:?} in its name",
            list.bug.len(),
            only.unwrap_or("")
        )));
    }
    let workspace = Workspace::create()?;
    let mut suites: Vec<_> = chosen.iter().flat_map(|bug| bug.suites()).copied().collect();
    suites.sort_unstable();
    suites.dedup();
    if !matches!(workspace.verdict(&suites)?, Verdict::Missed) {
        return Err(Failure(format!("the tests fail with nothing planted: see {}", workspace.output.display())));
    }
    let mut missed = Vec::new();
    for (number, bug) in chosen.iter().enumerate() {
        let begun = Instant::now();
        let verdict = workspace.try_bug(bug)?;
        let seconds = begun.elapsed().as_secs();
        println!("{:>2}/{} {:<38} {:>4} s  {}", number + 1, chosen.len(), bug.name, seconds, verdict.said());
        match verdict {
            Verdict::Found(_) | Verdict::Hung => {}
            Verdict::Missed => missed.push(format!("{} ({})", bug.name, bug.breaks)),
            Verdict::Uncompiled => {
                missed.push(format!("{} (plant it alone, and see {})", bug.name, workspace.output.display()));
            }
        }
    }
    if missed.is_empty() {
        println!("all {} found", chosen.len());
        return Ok(());
    }
    Err(Failure(format!("{} of {} went unnoticed:\n  {}", missed.len(), chosen.len(), missed.join("\n  "))))
}

enum Verdict {
    Found(Vec<String>),
    Hung,
    Missed,
    /// Doesn't compile, so it tests nothing.
    Uncompiled,
}

impl Verdict {
    fn said(&self) -> String {
        match self {
            Self::Found(tests) if tests.is_empty() => "found: the tests' process ended early".into(),
            Self::Found(tests) => format!("found by {}: {}", tests.len(), tests[0]),
            Self::Hung => format!("found: still running after {} s", LIMIT.as_secs()),
            Self::Missed => "MISSED".into(),
            Self::Uncompiled => "MISSED, as it doesn't compile".into(),
        }
    }
}

/// A copy of the project for planting bugs.
struct Workspace {
    tree: PathBuf,
    build: PathBuf,
    output: PathBuf,
}

impl Workspace {
    fn create() -> Result<Self, Failure> {
        let home = target().join("planted");
        let workspace = Self { tree: home.join("tree"), build: home.join("build"), output: home.join("output.txt") };
        if workspace.tree.exists() {
            fs::remove_dir_all(&workspace.tree).map_err(Failure::of(workspace.tree.display()))?;
        }
        copy(root(), &workspace.tree)?;
        Ok(workspace)
    }

    fn try_bug(&self, bug: &Bug) -> Result<Verdict, Failure> {
        let place = self.tree.join(&bug.file);
        let healthy = fs::read_to_string(&place).map_err(Failure::of(place.display()))?;
        fs::write(&place, bug.planted()?).map_err(Failure::of(place.display()))?;
        let verdict = self.verdict(bug.suites());
        fs::write(&place, healthy).map_err(Failure::of(place.display()))?;
        verdict
    }

    fn verdict(&self, suites: &[Suite]) -> Result<Verdict, Failure> {
        for suite in suites {
            let run = |more: &[&str], limit| {
                cargo(suite.iter().chain(more))
                    .inside(&self.tree)
                    .env("CARGO_TARGET_DIR", self.build.display())
                    .env("RUST_BACKTRACE", 0)
                    // The unit tests explore models, which takes eight times as long unoptimised.
                    .env("CARGO_PROFILE_TEST_OPT_LEVEL", u8::from(*suite == UNITS))
                    .run_silently(&self.output, limit)
            };
            if !run(&["--no-run"], BUILD_LIMIT)?.is_some_and(|status| status.success()) {
                return Ok(Verdict::Uncompiled);
            }
            match run(&[], LIMIT)? {
                None => return Ok(Verdict::Hung),
                Some(status) if !status.success() => return Ok(Verdict::Found(self.failed_tests()?)),
                Some(_) => {}
            }
        }
        Ok(Verdict::Missed)
    }

    fn failed_tests(&self) -> Result<Vec<String>, Failure> {
        let output = fs::read(&self.output).map_err(Failure::of(self.output.display()))?;
        let output = String::from_utf8_lossy(&output);
        let failed = |line: &str| line.strip_prefix("test ")?.strip_suffix(" ... FAILED").map(str::to_string);
        Ok(output.lines().filter_map(failed).collect())
    }
}

/// Copies the project without build outputs.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to).map_err(Failure::of(to.display()))?;
    for entry in fs::read_dir(from).map_err(Failure::of(from.display()))? {
        let entry = entry.map_err(Failure::of(from.display()))?;
        let (name, path) = (entry.file_name(), entry.path());
        if path == target() || name == "target" || name == ".git" || name == "mutants.out" {
            continue;
        }
        if path.is_dir() {
            copy(&path, &to.join(name))?;
        } else {
            fs::copy(&path, to.join(name)).map_err(Failure::of(path.display()))?;
        }
    }
    Ok(())
}
