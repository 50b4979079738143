//! Who may share what: nothing that was published before a call, nothing of before a forget, nothing of another key or namespace.

use shardflight::{
    Coalescer, Freshness,
    redis::{ClusterKey, FailOpen, KeyBytes},
};

use crate::{
    server::{Server, is_missing},
    support::{
        Count, Gate, LEASE, Users, at_once, behind, builder, limited, node, node_of, panic_quietly, until,
        until_followed,
    },
};

#[tokio::test]
async fn no_join_gets_what_was_published_before_it() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let (leader, follower, later) = (node(&server), node(&server), node(&server));
        let (gate, runs) = (Gate::new(), Count::default());
        let led = tokio::spawn(leader.join("key", behind(&gate, &runs, "old")));
        until("the lease is taken", || leader.cluster().stats().leases == 1).await;
        let shared = tokio::spawn(follower.join("key", at_once(&runs, "own")));
        until_followed(&server, 1).await;
        gate.open();
        led.await.unwrap().unwrap();
        assert_eq!(shared.await.unwrap().unwrap(), "old");
        // The result is still stored, for followers that missed its push.
        assert_eq!(server.keys().len(), 1, "{:?}", server.keys());
        for node in [&later, &follower, &leader] {
            assert_eq!(node.join("key", at_once(&runs, "new")).await.unwrap(), "new");
        }
        assert_eq!(runs.get(), 4);
    })
    .await;
}

/// Two nodes: one leads the key with a value of `"old"` behind the gate, and the other one is free.
async fn led_by_another(server: &Server, gate: &Gate, runs: &Count) -> (Users, tokio::task::JoinHandle<String>, Users) {
    let (leader, other) = (node(server), node(server));
    let led = tokio::spawn(leader.join("key", behind(gate, runs, "old")));
    until("the lease is taken", || leader.cluster().stats().leases == 1).await;
    (leader, tokio::spawn(async { led.await.unwrap().unwrap() }), other)
}

#[tokio::test]
async fn a_join_that_asks_for_later_work_waits_for_the_lease_of_before() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let (gate, runs) = (Gate::new(), Count::default());
        let (_leader, led, other) = led_by_another(&server, &gate, &runs).await;
        let fresh = other.with_freshness(Freshness::StartedAfterCall);
        let later = tokio::spawn(fresh.join("key", at_once(&runs, "later")));
        until_followed(&server, 1).await;
        assert!(!later.is_finished());
        gate.open();
        assert_eq!(led.await.unwrap(), "old");
        assert_eq!(later.await.unwrap().unwrap(), "later");
        assert_eq!(runs.get(), 2);
        assert_eq!(other.cluster().stats().takeovers, 0);
    })
    .await;
}

#[tokio::test]
async fn a_join_that_asks_for_later_work_leaves_other_keys_as_they_are() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let (leader, other) = (node(&server), node(&server));
        let (first, second, runs) = (Gate::new(), Gate::new(), Count::default());
        let here = tokio::spawn(other.join("a", behind(&first, &Count::default(), "here")));
        until("the lease is taken", || other.cluster().stats().leases == 1).await;
        // It waits for the end of the work here, for as long as the test does.
        let fresh = other.with_freshness(Freshness::StartedAfterCall);
        let mut later = std::pin::pin!(fresh.join("a", at_once(&Count::default(), "later")));
        assert!(futures::poll!(&mut later).is_pending());

        let led = tokio::spawn(leader.join("b", behind(&second, &Count::default(), "shared")));
        until("the other lease is taken", || leader.cluster().stats().leases == 1).await;
        let shared = tokio::spawn(other.join("b", at_once(&runs, "own")));
        until_followed(&server, 1).await;
        second.open();
        assert_eq!(led.await.unwrap().unwrap(), "shared");
        assert_eq!(shared.await.unwrap().unwrap(), "shared");
        assert_eq!(runs.get(), 0);
        first.open();
        assert_eq!(here.await.unwrap().unwrap(), "here");
        assert_eq!(later.await.unwrap(), "later");
    })
    .await;
}

#[tokio::test]
async fn a_join_after_a_forget_shares_nothing_of_before() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let (gate, runs) = (Gate::new(), Count::default());
        let (leader, led, other) = led_by_another(&server, &gate, &runs).await;
        let shared = tokio::spawn(other.join("key", at_once(&runs, "unused")));
        until_followed(&server, 1).await;
        assert!(other.forget("key").await.unwrap());
        assert_eq!(other.join("key", at_once(&runs, "new")).await.unwrap(), "new");
        assert!(!shared.is_finished());
        gate.open();
        assert_eq!(led.await.unwrap(), "old");
        assert_eq!(shared.await.unwrap().unwrap(), "old", "who followed before gets what it waited for");
        assert_eq!(runs.get(), 2);
        assert_eq!(leader.cluster().stats().fenced_out, 0);
    })
    .await;
}

#[tokio::test]
async fn a_flight_that_follows_what_was_forgotten_asks_again_and_goes_on_following() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let short = || node_of(builder(&server).lease(LEASE * 3).op_timeout(LEASE));
        let (leader, follower, other) = (short(), short(), short());
        let (gate, runs) = (Gate::new(), Count::default());
        let led = tokio::spawn(leader.join("key", behind(&gate, &runs, "old")));
        until("the lease is taken", || leader.cluster().stats().leases == 1).await;
        let shared = tokio::spawn(follower.join("key", at_once(&runs, "unused")));
        until_followed(&server, 1).await;
        other.forget("key").await.unwrap();
        let asked = follower.cluster().stats().round_trips;
        until("it asks again", || follower.cluster().stats().round_trips > asked).await;
        gate.open();
        assert_eq!(led.await.unwrap().unwrap(), "old");
        assert_eq!(shared.await.unwrap().unwrap(), "old");
        assert_eq!((runs.get(), follower.cluster().stats().takeovers), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn a_flight_that_its_own_process_has_forgotten_is_not_followed() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let (node, other) = (node(&server), node(&server));
        let (gate, runs) = (Gate::new(), Count::default());
        let old = tokio::spawn(node.join("key", behind(&gate, &runs, "old")));
        until("the lease is taken", || node.cluster().stats().leases == 1).await;
        let shared = tokio::spawn(other.join("key", at_once(&runs, "unused")));
        until_followed(&server, 1).await;
        // By the plain handle, which knows of no cluster.
        assert!(node.local().forget("key").await.unwrap());
        assert_eq!(node.join("key", at_once(&runs, "new")).await.unwrap(), "new");
        gate.open();
        assert_eq!(old.await.unwrap().unwrap(), "old");
        assert_eq!(shared.await.unwrap().unwrap(), "old");
        assert_eq!(runs.get(), 2);
    })
    .await;
}

#[tokio::test]
async fn tokens_grow_whatever_the_servers_clock_does() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let node = node(&server);
        let mut last = 0;
        for _ in 0..20 {
            let token = tokio::sync::oneshot::channel();
            node.join_fenced("key", |fence| async move {
                token.0.send(fence.token().expect("there is a lease")).unwrap();
                assert!(!fence.is_lost());
                String::new()
            })
            .await
            .unwrap();
            let token = token.1.await.unwrap();
            assert!(token > last, "{token} after {last}");
            last = token;
        }
        // Microseconds, so that they go on growing after a restart.
        assert!(last > 1_700_000_000_000_000);
    })
    .await;
}

#[tokio::test]
async fn namespaces_share_nothing() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let (one, two) = (node_of(builder(&server).namespace("one")), node_of(builder(&server).namespace("two")));
        let (gate, runs) = (Gate::new(), Count::default());
        let led = tokio::spawn(one.join("key", behind(&gate, &runs, "one")));
        until("the lease is taken", || one.cluster().stats().leases == 1).await;
        assert_eq!(two.join("key", at_once(&runs, "two")).await.unwrap(), "two");
        gate.open();
        assert_eq!(led.await.unwrap().unwrap(), "one");
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_not_coalesced_is_not_asked_for() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let (gate, runs) = (Gate::new(), Count::default());
        let (_leader, led, other) = led_by_another(&server, &gate, &runs).await;
        other.local().set_enabled(false);
        assert_eq!(other.join("key", at_once(&runs, "own")).await.unwrap(), "own");
        assert_eq!(other.cluster().stats().round_trips, 0);
        gate.open();
        led.await.unwrap();
    })
    .await;
}

/// Does as its text says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Odd(&'static str);

impl ClusterKey for Odd {
    fn write(&self, key: &mut KeyBytes) {
        match self.0 {
            "panics" => panic_quietly("no key"),
            "is long" => key.part([b'x'; 5000]),
            text => key.part(text),
        }
    }
}

#[tokio::test]
async fn odd_keys_are_their_own_callers_affair() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let handle = Coalescer::<Odd, u64>::builder().shards(1).build().unwrap().handle();
        let node = handle.across(builder(&server).build().unwrap());
        assert!(node.join(Odd("panics"), || async { 1 }).await.is_err());
        assert_eq!(node.join(Odd("is long"), || async { 2 }).await.unwrap(), 2);
        assert_eq!(node.cluster().stats().fail_opens_by(FailOpen::LongKey), 1);
        for key in ["", "}", "{}", "{", "a}b{c} d\r\n", "\u{0}ä"] {
            assert_eq!(node.join(Odd(key), || async { 3 }).await.unwrap(), 3);
        }
        assert_eq!(node.cluster().stats().led, 6);
        assert_eq!(server.keys(), Vec::<String>::new());
    })
    .await;
}
