//! Real processes and real signals, judged by all their logs.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    history::{Allowed, Log, judge},
    process::{Options, Process, is_call, is_run},
    redis_cluster::RedisCluster,
    server::{Server, is_missing},
};

/// For the slow parts of a busy machine.
const SECOND: Duration = Duration::from_secs(1);

fn start(server: &Server, processes: usize) -> (Vec<Process>, Options) {
    let options = Options::of(server.url());
    ((0..processes).map(|_| Process::start(&options)).collect(), options)
}

fn herd(processes: &mut [Process], key: &str, callers: usize, work: Duration) {
    processes.iter_mut().for_each(|process| process.tell(&format!("herd {key} {callers} {}", work.as_millis())));
}

fn rest(processes: &mut [Process]) -> Vec<Log> {
    processes.iter_mut().map(Process::rest).collect()
}

/// The process that runs the work, once one does and all have called.
fn leader(processes: &[Process], calls: usize) -> usize {
    processes.iter().for_each(|process| process.until("all call", is_call, calls));
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(leader) = processes.iter().position(|process| process.count(is_run) > 0) {
            return leader;
        }
        assert!(Instant::now() < deadline, "no process leads");
        sleep(Duration::from_millis(1));
    }
}

/// Until all but the leader follow.
fn until_followed(server: &Server, followers: i64) {
    let mut connection = server.connect();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let keys: Vec<String> = redis::Commands::keys(&mut connection, "*lease").unwrap();
        let fields = keys.first().map(|key| -> i64 { redis::Commands::hlen(&mut connection, key).unwrap() });
        if fields == Some(followers + 1) {
            return;
        }
        assert!(Instant::now() < deadline, "{keys:?} has {fields:?} fields");
        sleep(Duration::from_millis(1));
    }
}

fn check(server: &Server, processes: &mut [Process], allowed: Allowed) -> (Vec<Log>, crate::history::Verdict) {
    let logs = rest(processes);
    let verdict = judge(&logs, allowed).unwrap_or_else(|broken| panic!("{broken}"));
    for log in logs.iter().filter(|log| !log.was_killed) {
        assert_eq!(log.stats("waiting"), 0);
    }
    // R6: nothing is left once what was stored for late followers has expired.
    server.assert_empty_within(Duration::from_secs(10));
    (logs, verdict)
}

fn windows_of(processes: usize) {
    if is_missing() {
        return;
    }
    let server = Server::start();
    let (mut processes, _) = start(&server, processes);
    let windows = 5;
    for window in 0..windows {
        let key = format!("key-{window}");
        herd(&mut processes, &key, 100, Duration::from_millis(700));
        rest(&mut processes);
    }
    let (logs, verdict) = check(&server, &mut processes, Allowed::default());
    assert_eq!(verdict.runs, windows, "one execution per key and window");
    assert_eq!(verdict.calls, windows * 100 * processes.len());
    let followed: u64 = logs.iter().map(|log| log.stats("followed")).sum();
    assert_eq!(followed, (windows * (processes.len() - 1)) as u64);
}

#[test]
fn two_processes_run_each_key_once() {
    windows_of(2);
}

#[test]
fn eight_processes_run_each_key_once() {
    windows_of(8);
}

#[test]
fn a_killed_leader_is_succeeded_within_a_lease() {
    if is_missing() {
        return;
    }
    let server = Server::start();
    let (mut processes, options) = start(&server, 4);
    herd(&mut processes, "key", 100, Duration::from_millis(1500));
    let leader = leader(&processes, 100);
    until_followed(&server, 3);
    processes[leader].kill();
    let killed = Instant::now();
    let next = loop {
        let next = (0..4).find(|process| *process != leader && processes[*process].count(is_run) > 0);
        if let Some(next) = next {
            break next;
        }
        assert!(killed.elapsed() < options.lease + SECOND, "nobody has taken over after {:?}", killed.elapsed());
        sleep(Duration::from_millis(1));
    };
    let (logs, verdict) = check(&server, &mut processes, Allowed { extra_runs: 1, ..Allowed::default() });
    assert_eq!(verdict.runs, 2);
    assert_eq!(logs[next].stats("takeovers"), 1);
    assert!(verdict.slowest < options.lease + Duration::from_millis(1500) + 2 * SECOND, "{:?}", verdict.slowest);
}

#[test]
fn a_stopped_leader_is_overtaken_and_fenced_out() {
    if is_missing() {
        return;
    }
    let server = Server::start();
    let (mut processes, options) = start(&server, 3);
    herd(&mut processes, "key", 100, Duration::from_millis(300));
    let leader = leader(&processes, 100);
    processes[leader].signal("STOP");
    until_followed(&server, 2);
    let others: Vec<_> = (0..3).filter(|process| *process != leader).collect();
    let stopped = Instant::now();
    while others.iter().all(|process| processes[*process].count(is_run) == 0) {
        assert!(stopped.elapsed() < options.lease + SECOND, "nobody has taken over after {:?}", stopped.elapsed());
        sleep(Duration::from_millis(1));
    }
    for process in &others {
        processes[*process].rest();
    }
    processes[leader].signal("CONT");
    let (logs, verdict) = check(&server, &mut processes, Allowed { extra_runs: 1, ..Allowed::default() });
    assert_eq!(verdict.runs, 2);
    assert_eq!(logs[leader].stats("fenced_out"), 1, "its publication came too late");
    for process in others {
        assert_eq!(logs[process].stats("fenced_out"), 0);
    }
}

#[test]
fn a_stopped_server_costs_an_op_timeout_and_one_execution_per_process() {
    if is_missing() {
        return;
    }
    let server = Server::start();
    let (mut processes, options) = start(&server, 3);
    herd(&mut processes, "first", 10, Duration::from_millis(100));
    rest(&mut processes);
    server.pause();
    let paused = Instant::now();
    herd(&mut processes, "key", 100, Duration::from_millis(100));
    let logs = rest(&mut processes);
    assert!(paused.elapsed() < options.op_timeout * 2 + 3 * SECOND, "{:?}", paused.elapsed());
    assert!(logs.iter().all(|log| log.stats("fail_opens") == 1), "each runs its own, once");
    server.resume();
    let (_, verdict) = check(&server, &mut processes, Allowed { extra_runs: 2, alone: true, ..Allowed::default() });
    assert_eq!(verdict.runs, 1 + 3);
}

#[test]
fn a_redis_cluster_survives_the_loss_of_a_master() {
    if is_missing() {
        return;
    }
    let mut servers = RedisCluster::start();
    let options = Options { urls: servers.urls(), ..Options::of(String::new()) };
    let mut processes: Vec<_> = (0..3).map(|_| Process::start(&options)).collect();
    // Keys of all masters.
    for window in 0..10 {
        herd(&mut processes, &format!("key-{window}"), 10, Duration::from_millis(300));
    }
    let logs = rest(&mut processes);
    assert_eq!(judge(&logs, Allowed::default()).unwrap().runs, 10);

    let key = "mid-flight";
    herd(&mut processes, key, 100, Duration::from_secs(3));
    processes.iter().for_each(|process| process.until("all call", is_call, 100 + 100));
    sleep(Duration::from_millis(500));
    servers.kill_master_of("{processes:10:mid-flight}");
    let logs = rest(&mut processes);
    let allowed = Allowed { extra_runs: 2, alone: true, ..Allowed::default() };
    let verdict = judge(&logs, allowed).unwrap_or_else(|broken| panic!("{broken}"));
    assert!(verdict.runs <= 10 + 3, "{verdict:?}");

    // Its replica has taken its place by now, or soon has.
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut round = 0;
    loop {
        round += 1;
        herd(&mut processes, &format!("afterwards-{round}"), 10, Duration::from_millis(500));
        let logs = rest(&mut processes);
        let ran = logs.iter().flat_map(|log| &log.entries).filter(|entry| {
            matches!(&entry.event, crate::history::Event::Run { key, .. } if *key == format!("afterwards-{round}"))
        });
        if ran.count() == 1 && round >= 3 {
            break;
        }
        assert!(Instant::now() < deadline, "processes still run alone");
    }
}

/// Work is under way and followed; then something happens to the server.
fn mid_flight(incident: impl FnOnce(&mut Server), allowed: Allowed) -> (Vec<Log>, crate::history::Verdict) {
    let mut server = Server::start();
    let (mut processes, _) = start(&server, 4);
    herd(&mut processes, "key", 100, Duration::from_millis(2500));
    leader(&processes, 100);
    until_followed(&server, 3);
    incident(&mut server);
    let judged = check(&server, &mut processes, allowed);
    // It works as ever afterwards.
    herd(&mut processes, "afterwards", 100, Duration::from_millis(700));
    let logs = rest(&mut processes);
    let afterwards = logs
        .iter()
        .flat_map(|log| &log.entries)
        .filter(|entry| matches!(&entry.event, crate::history::Event::Run { key, .. } if key == "afterwards"));
    assert_eq!(afterwards.count(), 1);
    judged
}

#[test]
fn an_emptied_server_costs_one_execution() {
    if is_missing() {
        return;
    }
    let (_, verdict) = mid_flight(|server| server.flush(), Allowed { extra_runs: 1, ..Allowed::default() });
    assert!(verdict.runs <= 2, "{verdict:?}");
}

#[test]
fn a_restarted_server_costs_one_execution() {
    if is_missing() {
        return;
    }
    let restart = |server: &mut Server| {
        server.kill();
        server.start_again();
    };
    let (_, verdict) = mid_flight(restart, Allowed { extra_runs: 1, ..Allowed::default() });
    assert!(verdict.runs <= 2, "{verdict:?}");
}

#[test]
fn a_connection_that_is_cut_before_the_push_costs_nothing() {
    if is_missing() {
        return;
    }
    let (logs, verdict) = mid_flight(|server| server.kill_clients(), Allowed::default());
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
    let mut processes: Vec<_> = (0..2).map(|_| Process::start(&options)).collect();
    processes.iter_mut().for_each(|process| process.tell(&format!("keys {keys} 6000")));
    processes.iter().for_each(|process| process.until("all call", is_call, keys));
    for _ in 0..3 {
        server.kill_clients();
        sleep(Duration::from_millis(300));
    }
    let logs = rest(&mut processes);
    let verdict = judge(&logs, Allowed { slack: options.lease, ..Allowed::default() }).unwrap();
    // Where a machine is busy, a key's second call may come when the first is over: another window, and no run beside another.
    assert!((keys..keys * 3 / 2).contains(&verdict.runs), "{verdict:?}");
    assert_eq!(verdict.calls, 2 * keys);
    assert!(logs.iter().all(|log| log.stats("fail_opens") == 0));
    server.assert_only_results_that_expire();
}

#[test]
fn processes_of_another_version_run_their_own() {
    if is_missing() {
        return;
    }
    let server = Server::start();
    let (mut processes, options) = start(&server, 2);
    processes.push(Process::start(&Options { version: 1, ..options }));
    herd(&mut processes, "key", 100, Duration::from_secs(1));
    let logs = rest(&mut processes);
    let allowed = Allowed { extra_runs: 2, alone: true, ..Allowed::default() };
    let verdict = judge(&logs, allowed).unwrap();
    let undecodable: u64 = logs.iter().map(|log| log.stats("undecodable")).sum();
    // If the new one led, both old ones are on their own.
    assert!((1..=2).contains(&undecodable), "{undecodable}");
    assert_eq!(verdict.runs as u64, 1 + undecodable);
    server.assert_empty_within(Duration::from_secs(10));
}
