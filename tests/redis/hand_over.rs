//! Leaders, followers, and what passes between them.

use futures::future::join_all;
use shardflight::JoinError;

use crate::{
    server::{Server, is_missing},
    support::{Count, Gate, LIMIT, at_once, behind, builder, limited, node, node_of, panic_quietly, until_followed},
};

#[tokio::test]
async fn one_execution_for_all_nodes() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let nodes: Vec<_> = (0..4).map(|_| node(&server)).collect();
        let (gate, runs) = (Gate::new(), Count::default());
        let join = |index: usize| {
            let node = &nodes[index % nodes.len()];
            tokio::spawn(node.join("key", behind(&gate, &runs, &format!("of node {}", index % nodes.len()))))
        };
        let callers: Vec<_> = (0..400).map(join).collect();
        until_followed(&server, 3).await;
        gate.open();
        let answers: Vec<_> = join_all(callers).await.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
        assert_eq!(runs.get(), 1);
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        let stats: Vec<_> = nodes.iter().map(|node| node.cluster().stats()).collect();
        assert_eq!(
            stats.iter().map(|stats| (stats.led, stats.followed)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
            (1, 3)
        );
        assert!(stats.iter().all(|stats| stats.fail_opens() == 0 && stats.takeovers == 0 && stats.waiting == 0));
        server.assert_empty_within(LIMIT);
    })
    .await;
}

#[tokio::test]
async fn a_lonely_flight_leaves_nothing_and_takes_two_calls() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let node = node(&server);
        let runs = Count::default();
        assert_eq!(node.join("key", at_once(&runs, "first")).await.unwrap(), "first");
        let before = node.cluster().stats().round_trips;
        assert_eq!(node.join("key", at_once(&runs, "second")).await.unwrap(), "second");
        assert_eq!(runs.get(), 2);
        assert_eq!(node.cluster().stats().round_trips - before, 2);
        assert_eq!(server.keys(), Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_panic_is_handed_over_once() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let (leader, follower) = (node(&server), node(&server));
        let gate = Gate::new();
        let passed = gate.pass();
        let led = tokio::spawn(leader.join("key", move || async move {
            passed.await;
            panic_quietly("no such table".to_owned())
        }));
        crate::support::until("the lease is taken", || leader.cluster().stats().leases == 1).await;
        let runs = Count::default();
        let shared = tokio::spawn(follower.join("key", at_once(&runs, "own")));
        until_followed(&server, 1).await;
        gate.open();
        let message = |error: JoinError| match error {
            JoinError::Panicked(panic) => panic.message().to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(message(led.await.unwrap().unwrap_err()), "no such table");
        assert_eq!(message(shared.await.unwrap().unwrap_err()), "no such table (in another process)");
        assert_eq!(runs.get(), 0);
        assert_eq!(follower.join("key", at_once(&runs, "afresh")).await.unwrap(), "afresh");
    })
    .await;
}

#[tokio::test]
async fn large_values_are_fetched() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let (leader, follower) = (node(&server), node_of(builder(&server).inline(10)));
        let value = "x".repeat(100_000);
        let gate = Gate::new();
        let runs = Count::default();
        let led = tokio::spawn(leader.join("key", behind(&gate, &runs, &value)));
        crate::support::until("the lease is taken", || leader.cluster().stats().leases == 1).await;
        let shared = tokio::spawn(follower.join("key", at_once(&runs, "own")));
        until_followed(&server, 1).await;
        gate.open();
        assert_eq!(led.await.unwrap().unwrap(), value);
        assert_eq!(shared.await.unwrap().unwrap(), value);
        assert_eq!(runs.get(), 1);
    })
    .await;
}
