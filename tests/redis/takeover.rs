//! Leaders that end without a word, and leaders that come back too late.

use std::time::Instant;

use shardflight::{
    Coalescer, OnAbandon,
    redis::{ClusterBuilder, FailOpen, Json},
};
use tokio::{runtime::Runtime, task::spawn_blocking};

use crate::{
    server::{Server, is_missing},
    support::{Count, Gate, LEASE, LIMIT, at_once, behind, builder, limited, node, node_of, until, until_followed},
};

/// With leases that no test waits for the end of, as it would hang.
fn endless(server: &Server) -> ClusterBuilder<Json> {
    builder(server).lease(LIMIT * 10)
}

/// A runtime that ends before its test.
fn mortal() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[tokio::test]
async fn a_follower_leads_when_the_leader_is_gone() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        // As a process leaves it that was killed.
        let mut connection = server.connect();
        let key = "{tests:3:key}:lease";
        redis::cmd("HSET").arg(key).arg("id").arg("7:1.1.1").exec(&mut connection).unwrap();
        let began = Instant::now();
        redis::cmd("PEXPIRE").arg(key).arg(3000).exec(&mut connection).unwrap();
        let (follower, runs) = (node(&server), Count::default());
        assert_eq!(follower.join("key", at_once(&runs, "own")).await.unwrap(), "own");
        assert!(began.elapsed() >= LEASE * 3, "{:?}", began.elapsed());
        let stats = follower.cluster().stats();
        assert_eq!((stats.led, stats.takeovers, stats.fail_opens()), (1, 1, 0));
    })
    .await;
}

#[tokio::test]
async fn a_runtime_that_ends_gives_its_leases_back() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let dying = mortal();
        let (gate, runs) = (Gate::new(), Count::default());
        let leader = dying.block_on_elsewhere(|| node_of(endless(&server)));
        dying.spawn(leader.join("key", behind(&gate, &runs, "never")));
        until("the lease is taken", || leader.cluster().stats().leases == 1).await;
        let follower = node_of(endless(&server));
        let answer = tokio::spawn(follower.join("key", at_once(&runs, "of the follower")));
        until_followed(&server, 1).await;
        spawn_blocking(move || drop(dying)).await.unwrap();
        assert_eq!(answer.await.unwrap().unwrap(), "of the follower");
        assert_eq!(follower.cluster().stats().takeovers, 0);
        drop(leader);
    })
    .await;
}

trait Elsewhere {
    fn block_on_elsewhere<T: Send>(&self, build: impl FnOnce() -> T + Send) -> T;
}

impl Elsewhere for Runtime {
    /// Builds inside a runtime that this thread doesn't drive.
    fn block_on_elsewhere<T: Send>(&self, build: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let _inside = self.enter();
                    build()
                })
                .join()
                .unwrap()
        })
    }
}

#[tokio::test]
async fn long_work_keeps_its_lease() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let short = || builder(&server).lease(LEASE * 3).op_timeout(LEASE);
        let (leader, follower) = (node_of(short()), node_of(short()));
        let (gate, runs) = (Gate::new(), Count::default());
        let led = tokio::spawn(leader.join("key", behind(&gate, &runs, "long")));
        until("the lease is taken", || leader.cluster().stats().leases == 1).await;
        let shared = tokio::spawn(follower.join("key", at_once(&runs, "own")));
        // Two leases' worth.
        until("leases are renewed", || leader.cluster().stats().renewals >= 6).await;
        gate.open();
        assert_eq!(led.await.unwrap().unwrap(), "long");
        assert_eq!(shared.await.unwrap().unwrap(), "long");
        assert_eq!(runs.get(), 1);
        assert_eq!(follower.cluster().stats().takeovers, 0);
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_comes_back_too_late_is_fenced_out() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let (stalled, other) = (node(&server), node(&server));
        let (gate, runs) = (Gate::new(), Count::default());
        let late = tokio::spawn(stalled.join("key", behind(&gate, &runs, "late")));
        until("the lease is taken", || stalled.cluster().stats().leases == 1).await;
        // As if it had lasted for longer than its lease.
        server.flush();
        let (second, third) = (Gate::new(), node(&server));
        let led = tokio::spawn(other.join("key", behind(&second, &runs, "newer")));
        until("the lease is taken anew", || other.cluster().stats().leases == 1).await;
        let shared = tokio::spawn(third.join("key", at_once(&runs, "own")));
        until_followed(&server, 1).await;

        gate.open();
        assert_eq!(late.await.unwrap().unwrap(), "late", "its own callers get what they waited for");
        assert_eq!(stalled.cluster().stats().fenced_out, 1);
        until_followed(&server, 1).await;
        second.open();
        assert_eq!(led.await.unwrap().unwrap(), "newer");
        assert_eq!(shared.await.unwrap().unwrap(), "newer");
        assert_eq!(runs.get(), 2);
    })
    .await;
}

#[tokio::test]
async fn aborted_work_gives_its_lease_back() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let aborting =
            Coalescer::<String, String>::builder().shards(1).on_abandon(OnAbandon::Abort).build().unwrap().handle();
        let leader = aborting.across(endless(&server).build().unwrap());
        let follower = node_of(endless(&server));
        let (gate, runs) = (Gate::new(), Count::default());
        let led = tokio::spawn(leader.join("key", behind(&gate, &runs, "never")));
        until("the lease is taken", || leader.cluster().stats().leases == 1).await;
        let shared = tokio::spawn(follower.join("key", at_once(&runs, "own")));
        until_followed(&server, 1).await;
        led.abort();
        assert_eq!(shared.await.unwrap().unwrap(), "own");
        assert_eq!(follower.cluster().stats().takeovers, 0, "nothing was taken over: it was given back");
        assert_eq!(server.keys(), Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn work_that_never_ends_loses_its_lease_with_its_flight() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let short = || builder(&server).lease(LEASE * 3).op_timeout(LEASE);
        let hanging = mortal();
        let (wall, opener) = crate::support::Wall::new();
        let leader = hanging.block_on_elsewhere(|| {
            let handle = Coalescer::<String, String>::builder()
                .shards(1)
                .max_flight_duration(LEASE * 2)
                .build()
                .unwrap()
                .handle();
            handle.across(short().build().unwrap())
        });
        let led = hanging.spawn(leader.join("key", move || async move {
            spawn_blocking(move || wall.block()).await.unwrap();
            std::future::pending().await
        }));
        until("the lease is taken", || leader.cluster().stats().leases == 1).await;
        let runs = Count::default();
        let follower = node_of(short());
        let answer = follower.join("key", at_once(&runs, "own")).await;
        assert_eq!(answer.unwrap(), "own");
        assert!(led.await.unwrap().is_err());
        drop(opener);
        spawn_blocking(move || drop(hanging)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_follower_goes_alone_when_it_has_waited_enough() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let (leader, follower) = (node(&server), node_of(builder(&server).wait_at_most(LEASE / 10)));
        let (gate, runs) = (Gate::new(), Count::default());
        let led = tokio::spawn(leader.join("key", behind(&gate, &runs, "slow")));
        until("the lease is taken", || leader.cluster().stats().leases == 1).await;
        assert_eq!(follower.join("key", at_once(&runs, "own")).await.unwrap(), "own");
        assert_eq!(follower.cluster().stats().fail_opens_by(FailOpen::WaitLimit), 1);
        gate.open();
        assert_eq!(led.await.unwrap().unwrap(), "slow");
    })
    .await;
}
