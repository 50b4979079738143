//! What all processes have logged, and what it may look like: the rules R1 to R6, from the logs alone.

use std::{collections::BTreeMap, str::FromStr};

/// Microseconds of a clock that all processes of the machine share.
pub(crate) type Moment = u64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A caller is about to join.
    Call { caller: String, key: String },
    /// Work begins, under this token if any.
    Run { run: String, key: String, token: Option<u64> },
    /// It is about to return.
    End { run: String },
    /// A caller has its answer: the value of this run, or an error.
    Got { caller: String, answer: Result<String, String> },
    /// A process's numbers, at its end.
    Stats { name: String, value: u64 },
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: Moment,
    pub(crate) event: Event,
}

impl FromStr for Entry {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let parts: Vec<&str> = line.split(' ').collect();
        let text = |text: &str| text.to_owned();
        let (at, event) = match parts[..] {
            ["log", at, "call", caller, key] => (at, Event::Call { caller: text(caller), key: text(key) }),
            ["log", at, "run", run, key, token] => {
                (at, Event::Run { run: text(run), key: text(key), token: token.parse().ok() })
            }
            ["log", at, "end", run] => (at, Event::End { run: text(run) }),
            ["log", at, "got", caller, run] => (at, Event::Got { caller: text(caller), answer: Ok(text(run)) }),
            ["log", at, "failed", caller, error] => (at, Event::Got { caller: text(caller), answer: Err(text(error)) }),
            ["log", at, "stats", name, value] => {
                (at, Event::Stats { name: text(name), value: value.parse().map_err(drop)? })
            }
            _ => return Err(()),
        };
        Ok(Self { at: at.parse().map_err(drop)?, event })
    }
}

/// One process's log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) entries: Vec<Entry>,
    /// It was killed, so its callers have no answers.
    pub(crate) was_killed: bool,
}

/// What the incidents of a scenario excuse.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowed {
    /// Runs of a key beside the first, counted over all keys (R1).
    pub(crate) extra_runs: usize,
    /// Work without a lease.
    pub(crate) alone: bool,
}

#[derive(Clone, Debug)]
struct Run {
    key: String,
    token: Option<u64>,
    began: Moment,
    ended: Option<Moment>,
}

#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) runs: usize,
    /// Runs that began while another one of their key was under way.
    pub(crate) overlapping: usize,
    pub(crate) calls: usize,
}

/// The first rule that is broken, or what the logs come to.
pub(crate) fn judge(logs: &[Log], allowed: Allowed) -> Result<Verdict, String> {
    let runs = runs(logs)?;
    let mut verdict = Verdict { runs: runs.len(), ..Verdict::default() };
    verdict.overlapping = overlapping(&runs);
    if verdict.overlapping > allowed.extra_runs {
        return Err(format!("R1: {} runs beside others, and {} are allowed", verdict.overlapping, allowed.extra_runs));
    }
    tokens(&runs, allowed.alone)?;
    for (process, log) in logs.iter().enumerate() {
        let mut open = BTreeMap::new();
        for Entry { at, event } in &log.entries {
            match event {
                Event::Call { caller, key } => {
                    verdict.calls += 1;
                    open.insert(caller, (*at, key));
                }
                Event::Got { caller, answer } => {
                    let (called, key) =
                        open.remove(caller).ok_or_else(|| format!("R5: {caller} was answered twice"))?;
                    if let Ok(run) = answer {
                        let run = runs.get(run).ok_or_else(|| format!("{caller} got {run}, which never ran"))?;
                        fits(run, key, called).map_err(|why| format!("{caller}: {why}"))?;
                    }
                }
                _ => {}
            }
        }
        if !log.was_killed && !open.is_empty() {
            return Err(format!("R5: {} callers of process {process} were never answered: {open:?}", open.len()));
        }
    }
    Ok(verdict)
}

fn runs(logs: &[Log]) -> Result<BTreeMap<String, Run>, String> {
    let mut runs = BTreeMap::new();
    for log in logs {
        for Entry { at, event } in &log.entries {
            match event {
                Event::Run { run, key, token } => {
                    let began = Run { key: key.clone(), token: *token, began: *at, ended: None };
                    runs.insert(run.clone(), began);
                }
                Event::End { run } => {
                    let run: &mut Run = runs.get_mut(run).ok_or_else(|| format!("{run} ends and never began"))?;
                    run.ended = Some(*at);
                }
                _ => {}
            }
        }
    }
    Ok(runs)
}

/// R1. Work of a process that was killed has no end, and is followed by its successor: that counts once.
fn overlapping(runs: &BTreeMap<String, Run>) -> usize {
    let mut by_key: BTreeMap<&str, Vec<&Run>> = BTreeMap::new();
    for run in runs.values() {
        by_key.entry(&run.key).or_default().push(run);
    }
    let mut beside = 0;
    for mut runs in by_key.into_values() {
        runs.sort_by_key(|run| run.began);
        let mut until = 0;
        for run in runs {
            beside += usize::from(run.began < until);
            until = until.max(run.ended.unwrap_or(Moment::MAX));
        }
    }
    beside
}

/// R2. Of a key, what began later has a greater token.
fn tokens(runs: &BTreeMap<String, Run>, may_be_alone: bool) -> Result<(), String> {
    let mut sorted: Vec<_> = runs.iter().collect();
    sorted.sort_by_key(|(_, run)| run.began);
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, run) in sorted {
        match run.token {
            None if may_be_alone => {}
            None => return Err(format!("{name} ran without a lease")),
            Some(token) => {
                let before = last.insert(&run.key, token).unwrap_or(0);
                if token <= before {
                    return Err(format!("R2: {name} has the token {token}, after {before}"));
                }
            }
        }
    }
    Ok(())
}

/// R3, and that an outcome belongs to the key. Without any slack, as work ends when all have called.
fn fits(run: &Run, key: &str, called: Moment) -> Result<(), String> {
    if run.key != key {
        return Err(format!("asked for {key}, and got what ran for {}", run.key));
    }
    let Some(ended) = run.ended else { return Err("got what has not ended".to_owned()) };
    if ended < called {
        return Err(format!("R3: called {} µs after the end of what it got", called - ended));
    }
    Ok(())
}

impl Log {
    pub(crate) fn stats(&self, name: &str) -> u64 {
        let value = self.entries.iter().rev().find_map(|entry| match &entry.event {
            Event::Stats { name: other, value } if other == name => Some(*value),
            _ => None,
        });
        value.unwrap_or_else(|| panic!("no {name} in {} entries", self.entries.len()))
    }
}

mod tests {
    use super::*;

    fn log(lines: &[&str]) -> Log {
        Log {
            entries: lines.iter().map(|line| format!("log {line}").parse().expect("a line")).collect(),
            was_killed: false,
        }
    }

    const LEADER: [&str; 4] = ["1000 call a k", "2000 run r k 7", "9000 end r", "9500 got a r"];

    #[test]
    fn a_shared_run_is_in_order() {
        let logs = [log(&LEADER), log(&["3000 call b k", "9900 got b r"])];
        let verdict = judge(&logs, Allowed::default()).unwrap();
        assert_eq!((verdict.runs, verdict.overlapping, verdict.calls), (1, 0, 2));
    }

    fn broken(other: &[&str]) -> String {
        judge(&[log(&LEADER), log(other)], Allowed::default()).expect_err("a rule is broken")
    }

    #[test]
    fn a_second_run_beside_the_first_is_seen() {
        assert!(broken(&["3000 run s k 8", "4000 end s"]).starts_with("R1"));
        let logs = [log(&LEADER), log(&["3000 run s k 8", "4000 end s"])];
        assert_eq!(judge(&logs, Allowed { extra_runs: 1, ..Allowed::default() }).unwrap().overlapping, 1);
    }

    #[test]
    fn tokens_that_do_not_grow_are_seen() {
        assert!(broken(&["10000 run s k 7", "11000 end s"]).starts_with("R2"));
        assert!(broken(&["10000 run s k -", "11000 end s"]).contains("without a lease"));
    }

    #[test]
    fn old_and_foreign_outcomes_are_seen() {
        assert!(broken(&["9001 call b k", "9900 got b r"]).contains("R3"));
        assert!(broken(&["3000 call b other", "9900 got b r"]).contains("what ran for k"));
        assert!(broken(&["3000 call b k", "9900 got b s"]).contains("never ran"));
    }

    #[test]
    fn callers_without_an_answer_are_seen() {
        assert!(broken(&["3000 call b k"]).starts_with("R5"));
        assert!(broken(&["3000 call b k", "9900 got b r", "9901 got b r"]).starts_with("R5"));
    }
}
