//! Counts instructions per call with valgrind's callgrind, and compares them with a committed table.
//!
//! Why not gungraun, which counts in the same way: it needs an installed runner of exactly its version, which takes minutes to
//! build; its limits are in the benchmark's source, without a tool to update them; and they are upper limits only, so that a
//! count that falls unnoticed may rise again.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    OPTIMISED,
    process::{Failure, cargo, program, root, target},
};

/// In percent, in both directions. Runs of one binary differ by about 0.2, but unrelated code or another compiler may change what
/// is inlined, and a C library selects its `memcpy` by the processor.
const TOLERANCE: f64 = 3.0;

/// Numbers of calls. The process's fixed cost is in both runs, and not in their difference. Multiples of the largest burst.
const FEW: u64 = 2_000;
const MANY: u64 = 6_000;

const TABLE: &str = "xtask/instructions.toml";

const HEADING: &str = "\
# Instructions per call, as `cargo xtask instructions` counts them. Not to be edited: `--bless` has it write this anew.

";

struct Table {
    /// The tools that the counts depend on.
    counted_with: Tools,
    per_call: BTreeMap<String, u64>,
}

#[derive(PartialEq)]
struct Tools {
    rustc: String,
    valgrind: String,
    libc: String,
}

impl Tools {
    fn here() -> Result<Self, Failure> {
        let first_line = |said: String| said.lines().next().unwrap_or_default().to_string();
        Ok(Self {
            rustc: program("rustc").arg("--version").output().map(first_line)?,
            valgrind: program("valgrind").arg("--version").output().map(first_line)?,
            libc: program("getconf")
                .arg("GNU_LIBC_VERSION")
                .output()
                .map_or_else(|_| "another libc".into(), first_line),
        })
    }

    fn said(&self) -> String {
        format!("{}, {}, {}", self.rustc, self.valgrind, self.libc)
    }
}

impl Table {
    fn read() -> Result<Self, Failure> {
        let text = fs::read_to_string(root().join(TABLE)).map_err(Failure::of(TABLE))?;
        let table: toml::Table = text.parse().map_err(|error| Failure(format!("{TABLE}: {error}")))?;
        let missing = |what: &str| Failure(format!("{TABLE}: no {what} in it"));
        let tool = |name| {
            let version = table.get("counted-with").and_then(|tools| tools.get(name)?.as_str());
            version.map(str::to_string).ok_or_else(|| missing(name))
        };
        let counted_with = Tools { rustc: tool("rustc")?, valgrind: tool("valgrind")?, libc: tool("libc")? };
        let counts = table.get("per-call").and_then(toml::Value::as_table).ok_or_else(|| missing("per-call"))?;
        let count = |(workload, count): (&String, &toml::Value)| {
            let count = count.as_integer().and_then(|count| count.try_into().ok());
            Ok((workload.clone(), count.ok_or_else(|| missing(workload))?))
        };
        Ok(Self { counted_with, per_call: counts.iter().map(count).collect::<Result<_, Failure>>()? })
    }

    fn write(&self) -> Result<(), Failure> {
        let Tools { rustc, valgrind, libc } = &self.counted_with;
        let counted_with =
            format!("[counted-with]\nrustc = \"{rustc}\"\nvalgrind = \"{valgrind}\"\nlibc = \"{libc}\"\n");
        let counts: Vec<_> = self.per_call.iter().map(|(workload, count)| format!("{workload} = {count}\n")).collect();
        let text = format!("{HEADING}{counted_with}\n[per-call]\n{}", counts.concat());
        fs::write(root().join(TABLE), text).map_err(Failure::of(TABLE))
    }

    fn count() -> Result<Self, Failure> {
        let counted_with = Tools::here()?;
        let bench = Bench::build()?;
        let workloads = program(&bench.executable).output()?;
        let counted = workloads.lines().map(|workload| Ok((workload.to_string(), bench.per_call(workload)?)));
        Ok(Self { counted_with, per_call: counted.collect::<Result<_, Failure>>()? })
    }
}

/// The benchmark process.
struct Bench {
    executable: PathBuf,
    /// The directory of the profiles, for `callgrind_annotate`.
    profiles: PathBuf,
}

impl Bench {
    fn build() -> Result<Self, Failure> {
        let profiles = target().join("instructions");
        fs::create_dir_all(&profiles).map_err(Failure::of(profiles.display()))?;
        let build = cargo(["build"]).args(OPTIMISED).args(["--bench", "instructions"]);
        let said = build.arg("--message-format=json-render-diagnostics").output()?;
        let messages = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let executable = messages
            .filter(|message| message["target"]["name"] == "instructions")
            .find_map(|message| message["executable"].as_str().map(PathBuf::from));
        match executable {
            Some(executable) => Ok(Self { executable, profiles }),
            None => Err(Failure("cargo doesn't report the executable of the benchmark".into())),
        }
    }

    fn per_call(&self, workload: &str) -> Result<u64, Failure> {
        let [few, many] = [self.instructions(workload, FEW)?, self.instructions(workload, MANY)?];
        Ok(many.saturating_sub(few) / (MANY - FEW))
    }

    fn instructions(&self, workload: &str, calls: u64) -> Result<u64, Failure> {
        let profile = self.profiles.join(format!("{workload}-{calls}.out"));
        program("valgrind")
            .arg("--quiet")
            .arg("--tool=callgrind")
            .arg(format!("--callgrind-out-file={}", profile.display()))
            .arg(&self.executable)
            .arg(workload)
            .arg(calls.to_string())
            // The environment is on the stack, and changes the alignment of everything below.
            .without_environment()
            .output()?;
        total(&profile)
    }
}

fn total(profile: &Path) -> Result<u64, Failure> {
    let text = fs::read_to_string(profile).map_err(Failure::of(profile.display()))?;
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
    totals
        .and_then(|totals| totals.trim().parse().ok())
        .ok_or_else(|| Failure(format!("{}: no total of instructions in it", profile.display())))
}

enum Verdict {
    Same,
    More,
    Fewer,
}

/// The change in percent, and whether it exceeds the tolerance.
fn compare(was: u64, is: u64) -> (f64, Verdict) {
    let change = 100.0 * (is as f64 / was as f64 - 1.0);
    let verdict = match change {
        change if change > TOLERANCE => Verdict::More,
        change if change < -TOLERANCE => Verdict::Fewer,
        _ => Verdict::Same,
    };
    (change, verdict)
}

/// Counts, and fails if a count differs from the table.
pub(crate) fn check() -> Result<(), Failure> {
    let (table, counted) = (Table::read()?, Table::count()?);
    let mut wrong = Vec::new();
    println!("{:<20} {:>9} {:>9} {:>8}", "instructions", "table", "counted", "change");
    for (workload, &is) in &counted.per_call {
        let Some(&was) = table.per_call.get(workload) else {
            println!("{workload:<20} {:>9} {is:>9}", "-");
            wrong.push(format!("{workload} isn't in the table"));
            continue;
        };
        let (change, verdict) = compare(was, is);
        println!("{workload:<20} {was:>9} {is:>9} {change:>+7.1}%");
        match verdict {
            Verdict::Same => {}
            Verdict::More => wrong.push(format!("{workload} takes more: find out why, or explain and bless it")),
            Verdict::Fewer => wrong.push(format!("{workload} takes fewer: bless it")),
        }
    }
    let gone = table.per_call.keys().filter(|workload| !counted.per_call.contains_key(*workload));
    wrong.extend(gone.map(|workload| format!("{workload} is in the table, but no longer a workload")));
    if wrong.is_empty() {
        return Ok(());
    }
    if table.counted_with != counted.counted_with {
        wrong.push(format!("the table was counted with {}", table.counted_with.said()));
        wrong.push(format!("and this run with {}, which may explain the difference", counted.counted_with.said()));
    }
    wrong
        .push("cargo xtask instructions --bless writes the table; callgrind_annotate reads target/instructions".into());
    Err(Failure(wrong.join("\n")))
}

/// Counts, and writes the table.
pub(crate) fn bless() -> Result<(), Failure> {
    let counted = Table::count()?;
    for (workload, is) in &counted.per_call {
        println!("{workload:<20} {is:>9}");
    }
    counted.write()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_in_both_directions_are_found() {
        assert!(matches!(compare(1_000, 1_029), (_, Verdict::Same)));
        assert!(matches!(compare(1_000, 971), (_, Verdict::Same)));
        assert!(matches!(compare(1_000, 1_031), (_, Verdict::More)));
        assert!(matches!(compare(1_000, 969), (_, Verdict::Fewer)));
    }
}
