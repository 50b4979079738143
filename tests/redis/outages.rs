//! Redis away, silent, restarted, emptied, and connections cut.

use std::{
    future::poll_fn,
    net::{Ipv4Addr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use futures::future::join_all;
use shardflight::{
    JoinError,
    redis::{Cluster, FailOpen, OnUnavailable},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, split},
    net::TcpStream,
    spawn,
};

use crate::{
    server::{Server, free_port, is_missing},
    support::{
        Count, Gate, LEASE, LONG_LEASE, Users, at_once, behind, builder, coalescer, in_a_child_process, limited, node,
        node_of, panic_quietly, until, until_followed, until_led, watched,
    },
};

const OP: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_server_that_is_not_there_costs_an_op_timeout_and_then_nothing() {
    limited(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let cluster = Cluster::builder(url).namespace("tests").op_timeout(OP).build().unwrap();
        let node = coalescer().across(cluster);
        assert!(listener.accept().is_err(), "building connects to nothing");
        drop(listener);
        let runs = Count::default();
        while !node.cluster().stats().is_open {
            assert_eq!(node.join("key", at_once(&runs, "own")).await.unwrap(), "own");
        }
        let failed = node.cluster().stats();
        assert!(failed.openings == 1 && failed.fail_opens() <= 5 && failed.fail_opens() == runs.get() as u64);
        let timeouts = failed.fail_opens_by(FailOpen::Timeout);
        assert_eq!(timeouts + failed.fail_opens_by(FailOpen::Open), failed.fail_opens());
        asks_nothing(&node).await;
    })
    .await;
}

/// Flights cost nothing while the breaker is open.
async fn asks_nothing(node: &Users) {
    let (before, runs) = (node.cluster().stats(), Count::default());
    for _ in 0..1000 {
        node.join("key", at_once(&runs, "own")).await.unwrap();
    }
    let after = node.cluster().stats();
    assert_eq!(after.fail_opens_by(FailOpen::Open) - before.fail_opens_by(FailOpen::Open), 1000);
    assert_eq!(after.round_trips, before.round_trips);
}

#[tokio::test]
async fn work_is_refused_if_it_may_not_run_without_a_lease() {
    limited(async {
        let options = Cluster::builder("redis://127.0.0.1:1").namespace("tests").op_timeout(OP);
        let options = options.on_unavailable(OnUnavailable::Fail);
        let node = coalescer().across(options.build().unwrap());
        let runs = Count::default();
        for _ in 0..8 {
            let error = node.join("key", at_once(&runs, "own")).await.unwrap_err();
            let reason = FailOpen::refused(&error).expect("it was refused");
            assert!(matches!(reason, FailOpen::Timeout | FailOpen::Open), "{reason}");
        }
        assert_eq!(runs.get(), 0);
        assert_eq!(node.cluster().stats().refusals, 8);
        assert_eq!(node.cluster().stats().fail_opens(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_silent_server_costs_an_op_timeout_and_is_found_again() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let node = node_of(builder(&server).lease(LEASE * 60).op_timeout(OP));
        until_led(&node).await;
        server.pause();
        let (before, runs) = (node.cluster().stats(), Count::default());
        while !node.cluster().stats().is_open {
            node.join("key", at_once(&runs, "alone")).await.unwrap();
        }
        let failed = node.cluster().stats();
        assert!(runs.get() <= 5, "{}", runs.get());
        // Nothing else ends their waits: the connection stays, and the lease is as long as this test may take.
        let timeouts = failed.fail_opens_by(FailOpen::Timeout) - before.fail_opens_by(FailOpen::Timeout);
        assert_eq!(timeouts, runs.get() as u64);
        asks_nothing(&node).await;
        server.resume();
        until("the breaker closes", || !node.cluster().stats().is_open).await;
        until_led(&node).await;
        // What was asked while it was silent is given back when it speaks again, and not left to expire.
        server.assert_empty_within(LEASE * 30);
    })
    .await;
}

/// Passes on what is sent to a server and by it.
#[derive(Clone, Default)]
struct Proxy {
    connections: Arc<AtomicUsize>,
    /// So many of them, from the first on, pass on nothing any more, and stay.
    silent: Arc<AtomicUsize>,
}

impl Proxy {
    /// Its URL.
    fn start(&self, server: u16) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        let (listener, proxy) = (tokio::net::TcpListener::from_std(listener).unwrap(), self.clone());
        spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = proxy.connections.fetch_add(1, Ordering::SeqCst);
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await.unwrap();
                let ((from_client, to_client), (from_server, to_server)) = (split(client), split(server));
                spawn(proxy.clone().pass_on(number, from_client, to_server));
                spawn(proxy.clone().pass_on(number, from_server, to_client));
            }
        });
        url
    }

    async fn pass_on(self, number: usize, mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin) {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            if number >= self.silent.load(Ordering::SeqCst) && to.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_silent_for_a_lease_is_made_anew() {
    if is_missing() {
        return;
    }
    limited(async {
        let (server, proxy) = (Server::start(), Proxy::default());
        let options = Cluster::builder(proxy.start(server.port)).namespace("tests").lease(LEASE).op_timeout(LEASE / 3);
        let node = coalescer().across(options.build().unwrap());
        until_led(&node).await;
        let made = proxy.connections.load(Ordering::SeqCst);
        proxy.silent.store(made, Ordering::SeqCst);
        let failed = node.cluster().stats().fail_opens();
        // One call that fails opens no breaker.
        node.join("key", at_once(&Count::default(), "alone")).await.unwrap();
        assert_eq!(node.cluster().stats().fail_opens() - failed, 1);
        until("it connects again", || proxy.connections.load(Ordering::SeqCst) > made).await;
        until_led(&node).await;
        assert_eq!(node.cluster().stats().openings, 0);
    })
    .await;
}

#[tokio::test]
async fn followers_of_a_server_that_falls_silent_go_alone() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let (leader, follower) = (node(&server), node_of(builder(&server).lease(LEASE * 3).op_timeout(LEASE)));
        until_led(&follower).await;
        let before = follower.cluster().stats().fail_opens_by(FailOpen::Timeout);
        let (gate, runs) = (Gate::new(), Count::default());
        let led = tokio::spawn(leader.join("key", behind(&gate, &runs, "led")));
        until("the lease is taken", || leader.cluster().stats().leases == 1).await;
        let shared = tokio::spawn(follower.join("key", at_once(&runs, "alone")));
        until_followed(&server, 1).await;
        server.pause();
        assert_eq!(shared.await.unwrap().unwrap(), "alone");
        assert_eq!(follower.cluster().stats().fail_opens_by(FailOpen::Timeout) - before, 1);
        server.resume();
        gate.open();
        assert_eq!(led.await.unwrap().unwrap(), "led");
    })
    .await;
}

#[tokio::test]
async fn a_restarted_server_is_subscribed_to_again() {
    if is_missing() {
        return;
    }
    limited(async {
        let mut server = Server::start();
        let (leader, follower) = (node(&server), node(&server));
        let (gate, runs) = (Gate::new(), Count::default());
        let led = tokio::spawn(leader.join("key", behind(&gate, &runs, "led")));
        until("the lease is taken", || leader.cluster().stats().leases == 1).await;
        let shared = tokio::spawn(follower.join("key", behind(&gate, &runs, "second")));
        until_followed(&server, 1).await;
        server.kill();
        server.start_again();
        // The lease went with the server, so at most one more runs.
        until("both are connected again", || {
            [&leader, &follower].iter().all(|node| node.cluster().stats().is_connected)
        })
        .await;
        gate.open();
        led.await.unwrap().unwrap();
        shared.await.unwrap().unwrap();
        assert!(runs.get() <= 2, "{}", runs.get());

        let (gate, runs) = (Gate::new(), Count::default());
        let led = tokio::spawn(leader.join("next", behind(&gate, &runs, "led")));
        until("the lease is taken", || leader.cluster().stats().leases == 1).await;
        let shared = tokio::spawn(follower.join("next", at_once(&runs, "own")));
        until_followed(&server, 1).await;
        gate.open();
        assert_eq!(led.await.unwrap().unwrap(), "led");
        assert_eq!(shared.await.unwrap().unwrap(), "led");
        assert_eq!(runs.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_lost_push_is_made_up_for() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let long = || node_of(builder(&server).lease(LEASE * 20));
        let (leader, follower) = (long(), long());
        let (gate, runs) = (Gate::new(), Count::default());
        let led = tokio::spawn(leader.join("key", behind(&gate, &runs, "led")));
        until("the lease is taken", || leader.cluster().stats().leases == 1).await;
        let shared = tokio::spawn(follower.join("key", at_once(&runs, "own")));
        until_followed(&server, 1).await;
        server.kill_clients();
        let cut = Instant::now();
        gate.open();
        assert_eq!(led.await.unwrap().unwrap(), "led");
        assert_eq!(shared.await.unwrap().unwrap(), "led");
        assert_eq!(runs.get(), 1);
        assert!(cut.elapsed() < LEASE * 8, "it waited for half a lease: {:?}", cut.elapsed());
    })
    .await;
}

#[tokio::test]
async fn an_emptied_server_costs_one_execution_at_most() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let nodes: Vec<_> = (0..4).map(|_| node(&server)).collect();
        let (gate, runs) = (Gate::new(), Count::default());
        let first = tokio::spawn(nodes[0].join("key", behind(&gate, &runs, "first")));
        until("the lease is taken", || nodes[0].cluster().stats().leases == 1).await;
        let rest: Vec<_> =
            nodes[1..].iter().map(|node| tokio::spawn(node.join("key", behind(&gate, &runs, "second")))).collect();
        until_followed(&server, 3).await;
        server.flush();
        until("one takes over", || nodes.iter().map(|node| node.cluster().stats().leases).sum::<usize>() == 2).await;
        until_followed(&server, 2).await;
        gate.open();
        assert_eq!(first.await.unwrap().unwrap(), "first");
        for answer in join_all(rest).await {
            assert_eq!(answer.unwrap().unwrap(), "second");
        }
        assert_eq!(runs.get(), 2);
        server.assert_only_results_for(LONG_LEASE);
    })
    .await;
}

#[test]
fn a_runtime_without_network_and_timers_runs_alone() {
    watched(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let cluster = Cluster::builder("redis://127.0.0.1:1").namespace("tests").op_timeout(OP).build().unwrap();
            let node = coalescer().across(cluster);
            let runs = Count::default();
            for _ in 0..8 {
                assert_eq!(node.join("key", at_once(&runs, "own")).await.unwrap(), "own");
            }
            assert!(node.cluster().stats().is_open);
        });
    });
}

/// Panics in its drop.
struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic_quietly("in a drop");
    }
}

#[test]
fn work_without_a_lease_may_panic_and_panic_again_in_its_drop() {
    in_a_child_process("outages::work_without_a_lease_may_panic_and_panic_again_in_its_drop", || async {
        let cluster = Cluster::builder("redis://127.0.0.1:1").namespace("tests").op_timeout(OP).build().unwrap();
        let node = coalescer().across(cluster);
        let held = PanicsInDrop;
        let work = move || {
            poll_fn(move |_| -> Poll<String> {
                let _held = &held;
                panic_quietly("broken")
            })
        };
        assert!(matches!(node.join("key", work).await, Err(JoinError::Panicked(_))));
        assert_eq!(node.join("key", at_once(&Count::default(), "own")).await.unwrap(), "own");
    });
}
