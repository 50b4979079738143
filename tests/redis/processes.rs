//! Real processes and real signals, judged by all their logs.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    history::{Allowed, Log, Verdict, judge},
    process::{Options, Process},
    redis_cluster::RedisCluster,
    server::{Server, is_missing},
    support::{LIMIT, LONG_LEASE},
};

fn start(options: &Options, processes: usize) -> Vec<Process> {
    (0..processes).map(|_| Process::start(options)).collect()
}

/// Once all have called. Their work waits for [`open`].
fn burst(processes: &mut [Process], key: &str, callers: usize) {
    processes.iter_mut().for_each(|process| process.burst(key, callers));
    processes.iter_mut().for_each(Process::until_joined);
}

/// [`burst`], once a process leads and all others follow.
fn burst_and_follow(server: &Server, processes: &mut [Process], key: &str, callers: usize) {
    let (before, others) = (runs(processes, key), processes.len() - 1);
    burst(processes, key, callers);
    until("one leads and all others follow", || runs(processes, key) > before && server.followers() == others);
}

fn open(processes: &mut [Process]) {
    processes.iter_mut().for_each(Process::open);
}

fn rest(processes: &mut [Process]) -> Vec<Log> {
    processes.iter_mut().map(Process::rest).collect()
}

fn runs(processes: &[Process], key: &str) -> usize {
    processes.iter().map(|process| process.runs(key)).sum()
}

/// The only one that has run the key's work.
fn leader(processes: &[Process], key: &str) -> usize {
    processes.iter().position(|process| process.runs(key) > 0).expect("one leads")
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        sleep(Duration::from_millis(2));
    }
}

fn check(server: &Server, processes: &mut [Process], allowed: Allowed) -> (Vec<Log>, Verdict) {
    let logs = rest(processes);
    let verdict = judge(&logs, allowed).unwrap_or_else(|broken| panic!("{broken}"));
    for log in logs.iter().filter(|log| !log.was_killed) {
        assert_eq!(log.stats("waiting"), 0);
    }
    // R6: nothing is left but what is stored for late followers, and that expires.
    server.assert_only_results_for(LONG_LEASE);
    (logs, verdict)
}

fn windows_of(processes: usize) {
    if is_missing() {
        return;
    }
    let server = Server::start();
    let mut processes = start(&Options::of(server.url()), processes);
    let windows = 5;
    for _ in 0..windows {
        burst_and_follow(&server, &mut processes, "key", 100);
        open(&mut processes);
        rest(&mut processes);
    }
    let (logs, verdict) = check(&server, &mut processes, Allowed::default());
    assert_eq!(verdict.runs, windows, "one execution per window");
    assert_eq!(verdict.calls, windows * 100 * processes.len());
    let followed: u64 = logs.iter().map(|log| log.stats("followed")).sum();
    assert_eq!(followed, (windows * (processes.len() - 1)) as u64);
}

#[test]
fn two_processes_run_a_key_once_per_window() {
    windows_of(2);
}

#[test]
fn eight_processes_run_a_key_once_per_window() {
    windows_of(8);
}

#[test]
fn a_killed_leader_is_succeeded_when_its_lease_ends() {
    if is_missing() {
        return;
    }
    let server = Server::start();
    let mut processes = start(&Options::of(server.url()).with_a_short_lease(), 4);
    burst_and_follow(&server, &mut processes, "key", 100);
    let killed = leader(&processes, "key");
    processes[killed].kill();
    until("one takes over and the others follow", || runs(&processes, "key") == 2 && server.followers() == 2);
    open(&mut processes);
    let (logs, verdict) = check(&server, &mut processes, Allowed { extra_runs: 1, ..Allowed::default() });
    assert_eq!(verdict.runs, 2);
    let next = (0..4).find(|process| *process != killed && processes[*process].runs("key") > 0);
    assert_eq!(logs[next.expect("one has taken over")].stats("takeovers"), 1);
}

#[test]
fn a_stopped_leader_is_overtaken_and_fenced_out() {
    if is_missing() {
        return;
    }
    let server = Server::start();
    let mut processes = start(&Options::of(server.url()).with_a_short_lease(), 3);
    burst_and_follow(&server, &mut processes, "key", 100);
    let stopped = leader(&processes, "key");
    processes[stopped].signal("STOP");
    until("one takes over and the other follows", || runs(&processes, "key") == 2 && server.followers() == 1);
    open(&mut processes);
    let others: Vec<_> = (0..3).filter(|process| *process != stopped).collect();
    for process in &others {
        processes[*process].rest();
    }
    processes[stopped].signal("CONT");
    let (logs, verdict) = check(&server, &mut processes, Allowed { extra_runs: 1, ..Allowed::default() });
    assert_eq!(verdict.runs, 2);
    assert_eq!(logs[stopped].stats("fenced_out"), 1, "its publication came too late");
    for process in others {
        assert_eq!(logs[process].stats("fenced_out"), 0);
    }
}

#[test]
fn a_stopped_server_costs_one_execution_per_process() {
    if is_missing() {
        return;
    }
    let server = Server::start();
    let mut processes = start(&Options::of(server.url()), 3);
    server.pause();
    burst(&mut processes, "key", 100);
    until("all go alone", || processes.iter().all(|process| process.runs("key") == 1));
    open(&mut processes);
    let logs = rest(&mut processes);
    assert!(logs.iter().all(|log| log.stats("fail_opens") == 1), "each runs its own, once");
    server.resume();
    let (_, verdict) = check(&server, &mut processes, Allowed { extra_runs: 2, alone: true });
    assert_eq!(verdict.runs, 3);
}

#[test]
fn a_redis_cluster_survives_the_loss_of_a_master() {
    if is_missing() {
        return;
    }
    let mut servers = RedisCluster::start();
    let mut processes = start(&Options { urls: servers.urls(), ..Options::of(String::new()) }, 3);
    // Keys of all masters.
    for key in 0..10 {
        burst(&mut processes, &format!("key-{key}"), 10);
    }
    until("all keys are followed", || servers.followers() == 10 * 2);
    open(&mut processes);
    let logs = rest(&mut processes);
    assert_eq!(judge(&logs, Allowed::default()).unwrap().runs, 10);

    let key = "mid-flight";
    burst(&mut processes, key, 100);
    until("one leads and all others follow", || runs(&processes, key) == 1 && servers.followers() == 2);
    servers.kill_master_of("{processes:10:mid-flight}");
    open(&mut processes);
    let logs = rest(&mut processes);
    let allowed = Allowed { extra_runs: 2, alone: true };
    let verdict = judge(&logs, allowed).unwrap_or_else(|broken| panic!("{broken}"));
    assert!(verdict.runs <= 10 + 3, "{verdict:?}");

    // Processes hear of the new master one after the other, and run alone until then.
    let deadline = Instant::now() + LIMIT;
    for round in 1.. {
        let key = format!("afterwards-{round}");
        burst(&mut processes, &key, 10);
        until("each leads, follows or runs alone", || runs(&processes, &key) + servers.followers() >= 3);
        open(&mut processes);
        rest(&mut processes);
        if runs(&processes, &key) == 1 && round >= 3 {
            break;
        }
        assert!(Instant::now() < deadline, "processes still run alone");
    }
}

/// Work is under way and followed; then something happens to the server.
fn mid_flight(incident: impl FnOnce(&mut Server, &[Process]), allowed: Allowed) -> (Vec<Log>, Verdict) {
    let mut server = Server::start();
    let mut processes = start(&Options::of(server.url()), 4);
    burst_and_follow(&server, &mut processes, "key", 100);
    incident(&mut server, &processes);
    open(&mut processes);
    let judged = check(&server, &mut processes, allowed);
    // It works as ever afterwards.
    burst_and_follow(&server, &mut processes, "afterwards", 100);
    open(&mut processes);
    rest(&mut processes);
    assert_eq!(runs(&processes, "afterwards"), 1);
    judged
}

/// The lease is gone, so one of those who followed leads, beside the one that did before.
fn until_another_leads(server: &Server, processes: &[Process]) {
    until("another leads and the rest follow", || runs(processes, "key") == 2 && server.followers() == 2);
}

#[test]
fn an_emptied_server_costs_one_execution() {
    if is_missing() {
        return;
    }
    let empty = |server: &mut Server, processes: &[Process]| {
        server.flush();
        until_another_leads(server, processes);
    };
    let (_, verdict) = mid_flight(empty, Allowed { extra_runs: 1, ..Allowed::default() });
    assert_eq!(verdict.runs, 2);
}

#[test]
fn a_restarted_server_costs_one_execution() {
    if is_missing() {
        return;
    }
    let restart = |server: &mut Server, processes: &[Process]| {
        // However long it takes, it's no outage to them, which would open their breakers.
        processes.iter().for_each(|process| process.signal("STOP"));
        server.kill();
        server.start_again();
        processes.iter().for_each(|process| process.signal("CONT"));
        until_another_leads(server, processes);
    };
    let (_, verdict) = mid_flight(restart, Allowed { extra_runs: 1, ..Allowed::default() });
    assert_eq!(verdict.runs, 2);
}

#[test]
fn a_connection_that_is_cut_before_the_push_costs_nothing() {
    if is_missing() {
        return;
    }
    let (logs, verdict) = mid_flight(|server, _| server.kill_clients(), Allowed::default());
    assert_eq!(verdict.runs, 1);
    assert!(logs.iter().all(|log| log.stats("takeovers") == 0 && log.stats("fail_opens") == 0));
}

#[test]
fn ten_thousand_keys_survive_a_storm_of_reconnects() {
    if is_missing() {
        return;
    }
    let keys = 10_000;
    let server = Server::start();
    let options =
        Options { lease: Duration::from_mins(1), op_timeout: Duration::from_secs(20), ..Options::of(server.url()) };
    let mut processes = start(&options, 2);
    for key in 0..keys {
        processes.iter_mut().for_each(|process| process.burst(&format!("key-{key}"), 1));
    }
    // While they ask, and once more before the pushes.
    for _ in 0..3 {
        until("both are subscribed", || server.subscribers() == 2);
        processes.iter_mut().for_each(Process::until_connected);
        server.kill_clients();
    }
    processes.iter_mut().for_each(Process::until_joined);
    until("all keys are followed", || server.followers() >= keys);
    server.kill_clients();
    open(&mut processes);
    let logs = rest(&mut processes);
    let verdict = judge(&logs, Allowed::default()).unwrap();
    // A leader that asked twice counts as its own follower, so a few keys' second calls may come when the first are over: another
    // window, and no run beside another.
    assert!((keys..keys * 3 / 2).contains(&verdict.runs), "{verdict:?}");
    assert_eq!(verdict.calls, 2 * keys);
    assert!(logs.iter().all(|log| log.stats("fail_opens") == 0));
    server.assert_only_results_for(options.lease);
}

#[test]
fn processes_of_another_version_run_their_own() {
    if is_missing() {
        return;
    }
    let server = Server::start();
    let options = Options::of(server.url());
    let mut processes = start(&options, 2);
    processes.push(Process::start(&Options { version: 1, ..options }));
    burst_and_follow(&server, &mut processes, "key", 100);
    open(&mut processes);
    let logs = rest(&mut processes);
    let allowed = Allowed { extra_runs: 2, alone: true };
    let verdict = judge(&logs, allowed).unwrap();
    let undecodable: u64 = logs.iter().map(|log| log.stats("undecodable")).sum();
    // If the new one led, both old ones are on their own.
    assert!((1..=2).contains(&undecodable), "{undecodable}");
    assert_eq!(verdict.runs as u64, 1 + undecodable);
    server.assert_only_results_for(LONG_LEASE);
}
