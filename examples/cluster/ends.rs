//! What the example starts ends with it, whatever ends it.
//!
//! Where there is no `redis-server`, the tests say so and pass; in CI they fail then.
#![cfg(target_os = "linux")]

use std::{
    env, fs,
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_mins(1);

fn is_missing() -> bool {
    let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
    let is_missing = found.is_err();
    if is_missing {
        assert!(env::var_os("CI").is_none(), "there is no redis-server, and this is CI");
        println!("SKIPPED: there is no redis-server; Debian's package redis-server has it");
    }
    is_missing
}

/// Killed when it is dropped, so that a test that fails leaves no more behind than it has to.
struct Director {
    child: Child,
    /// Open to the end, as it would fail to say more.
    said: Lines<BufReader<ChildStdout>>,
}

impl Director {
    /// Runs it until it says a line that begins so.
    fn until(line: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cluster")).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut director = Self { child, said };
        let is_said = director.said.by_ref().map_while(Result::ok).any(|said| said.starts_with(line));
        assert!(is_said, "it never says {line:?}");
        director
    }

    fn descendants(&self) -> Vec<u32> {
        let mut found = children(self.child.id());
        let further: Vec<_> = found.iter().flat_map(|child| children(*child)).collect();
        found.extend(further);
        found
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Of all of its threads, as each of them may have started some.
fn children(process: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(|child| child.parse().unwrap()).collect::<Vec<_>>()).collect()
}

/// Or is a zombie, which its parent has not waited for yet.
fn has_ended(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.is_empty() || rest.trim_start().starts_with('Z'))
}

fn all_end_with_it(line: &str) {
    let director = Director::until(line);
    let descendants = director.descendants();
    // Four replicas, the server, and its keeper.
    assert_eq!(descendants.len(), 6, "{descendants:?}");
    drop(director);
    let deadline = Instant::now() + LIMIT;
    for process in descendants {
        while !has_ended(process) {
            assert!(Instant::now() < deadline, "process {process} goes on");
            sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn its_processes_end_when_it_is_killed() {
    if !is_missing() {
        all_end_with_it("across the cluster");
    }
}

#[test]
fn a_server_that_is_stopped_ends_too() {
    if !is_missing() {
        all_end_with_it("breaker open");
    }
}
