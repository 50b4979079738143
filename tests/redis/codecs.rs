//! Values that can't be handed over, and what is handed over and can't be understood.

use std::io::Write;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use shardflight::{
    Coalescer, TryJoinError,
    redis::{ClusterHandle, Codec, CodecError, FailOpen, Json, OnUnavailable, Postcard},
};
use tokio::task::JoinHandle;

use crate::{
    server::{Server, is_missing},
    support::{
        Count, Gate, Users, at_once, behind, builder, coalescer, limited, node, node_of, panic_quietly, until,
        until_followed,
    },
};

/// One leads, the other follows until the leader's work has ended. The follower's answer.
async fn handed_over(server: &Server, leader: &Users, follower: &Users, value: &str, own: &Count) -> String {
    let (gate, runs) = (Gate::new(), Count::default());
    let led: JoinHandle<_> = tokio::spawn(leader.join("key", behind(&gate, &runs, value)));
    until("the lease is taken", || leader.cluster().stats().leases == 1).await;
    let shared = tokio::spawn(follower.join("key", at_once(own, "own")));
    until_followed(server, 1).await;
    gate.open();
    assert_eq!(led.await.unwrap().unwrap(), value);
    assert_eq!(runs.get(), 1);
    shared.await.unwrap().unwrap()
}

#[tokio::test]
async fn values_of_another_version_are_not_decoded() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let (old, new) = (node(&server), node_of(builder(&server).version(1)));
        let own = Count::default();
        assert_eq!(handed_over(&server, &old, &new, "old", &own).await, "own");
        assert_eq!(handed_over(&server, &new, &old, "new", &own).await, "own");
        assert_eq!(own.get(), 2);
        for node in [&old, &new] {
            assert_eq!(node.cluster().stats().decode_errors(), 1);
            assert_eq!(node.cluster().stats().fail_opens(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn values_of_another_codec_are_not_decoded() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let json = node(&server);
        let postcard = coalescer().across(builder(&server).codec(Postcard).build().unwrap());
        let (gate, runs) = (Gate::new(), Count::default());
        let led = tokio::spawn(json.join("key", behind(&gate, &runs, "json")));
        until("the lease is taken", || json.cluster().stats().leases == 1).await;
        let shared = tokio::spawn(postcard.join("key", at_once(&runs, "own")));
        until_followed(&server, 1).await;
        gate.open();
        led.await.unwrap().unwrap();
        assert_eq!(shared.await.unwrap().unwrap(), "own");
        assert_eq!(postcard.cluster().stats().decode_errors(), 1);
    })
    .await;
}

#[tokio::test]
async fn postcard_hands_over() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let nodes: Vec<_> =
            (0..2).map(|_| coalescer().across(builder(&server).codec(Postcard).build().unwrap())).collect();
        let (gate, runs) = (Gate::new(), Count::default());
        let led = tokio::spawn(nodes[0].join("key", behind(&gate, &runs, "small")));
        until("the lease is taken", || nodes[0].cluster().stats().leases == 1).await;
        let shared = tokio::spawn(nodes[1].join("key", at_once(&runs, "own")));
        until_followed(&server, 1).await;
        gate.open();
        led.await.unwrap().unwrap();
        assert_eq!(shared.await.unwrap().unwrap(), "small");
    })
    .await;
}

#[tokio::test]
async fn values_that_are_too_large_are_not_handed_over() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let (leader, follower) = (node_of(builder(&server).max_value(100)), node(&server));
        let own = Count::default();
        assert_eq!(handed_over(&server, &leader, &follower, &"x".repeat(98), &own).await, "x".repeat(98));
        assert_eq!(handed_over(&server, &leader, &follower, &"x".repeat(99), &own).await, "own");
        assert_eq!(own.get(), 1);
        assert_eq!(leader.cluster().stats().too_large, 1);
        assert_eq!(follower.cluster().stats().fail_opens_by(FailOpen::Unshareable), 1);
    })
    .await;
}

#[tokio::test]
async fn without_leave_to_go_alone_a_follower_leads_after_what_it_cannot_decode() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let strict = builder(&server).version(1).on_unavailable(OnUnavailable::Fail);
        let (old, new) = (node(&server), node_of(strict));
        let own = Count::default();
        assert_eq!(handed_over(&server, &old, &new, "old", &own).await, "own");
        assert_eq!((new.cluster().stats().led, new.cluster().stats().fail_opens()), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn errors_are_handed_over_once() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let node = || {
            let handle = Coalescer::<String, Result<u64, String>>::builder().shards(1).build().unwrap().handle();
            handle.across(builder(&server).build().unwrap())
        };
        let (leader, follower) = (node(), node());
        let (gate, runs) = (Gate::new(), Count::default());
        let (passed, ran) = (gate.pass(), runs.clone());
        let led = tokio::spawn(leader.try_join("key", move || async move {
            ran.up();
            passed.await;
            Err("no such user".to_owned())
        }));
        until("the lease is taken", || leader.cluster().stats().leases == 1).await;
        let shared = tokio::spawn(follower.try_join_shared("key", || async { Ok(1) }));
        until_followed(&server, 1).await;
        gate.open();
        assert!(matches!(led.await.unwrap(), Err(TryJoinError::Work(error)) if error == "no such user"));
        assert!(matches!(shared.await.unwrap(), Err(TryJoinError::Work(error)) if *error == "no such user"));
        assert_eq!(runs.get(), 1);
        assert_eq!(follower.try_join("key", || async { Ok(2) }).await, Ok(2));
    })
    .await;
}

/// Does to serde what its number says.
#[derive(Clone, Debug, PartialEq)]
struct Hostile(u8);

const HARMLESS: u8 = 0;
const PANICS_WHEN_READ: u8 = 1;
const PANICS_WHEN_WRITTEN: u8 = 2;
const FAILS_WHEN_WRITTEN: u8 = 3;

impl Serialize for Hostile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            PANICS_WHEN_WRITTEN => panic_quietly("written"),
            FAILS_WHEN_WRITTEN => Err(serde::ser::Error::custom("not to be written")),
            other => other.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Hostile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            PANICS_WHEN_READ => panic_quietly("read"),
            other => Ok(Self(other)),
        }
    }
}

#[tokio::test]
async fn codecs_that_panic_cost_their_own_key_an_execution() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let node = || -> ClusterHandle<String, Hostile> {
            Coalescer::builder().shards(1).build().unwrap().handle().across(builder(&server).build().unwrap())
        };
        let (leader, follower) = (node(), node());
        for value in [HARMLESS, PANICS_WHEN_READ, PANICS_WHEN_WRITTEN, FAILS_WHEN_WRITTEN] {
            let gate = Gate::new();
            let led = tokio::spawn(leader.join("key", gate.then(Hostile(value))));
            until("the lease is taken", || leader.cluster().stats().leases == 1).await;
            let shared = tokio::spawn(follower.join("key", || async { Hostile(200) }));
            until_followed(&server, 1).await;
            gate.open();
            assert_eq!(led.await.unwrap().unwrap(), Hostile(value), "its own callers get it in any case");
            let expected = if value == HARMLESS { HARMLESS } else { 200 };
            assert_eq!(shared.await.unwrap().unwrap(), Hostile(expected));
        }
        let (leader, follower) = (leader.cluster().stats(), follower.cluster().stats());
        assert_eq!((leader.led, leader.encode_errors, leader.leases), (4, 2, 0));
        assert_eq!((follower.followed, follower.decode_errors()), (1, 1));
        assert_eq!(follower.fail_opens_by(FailOpen::Unshareable), 2);
    })
    .await;
}

/// Blocks its thread while it encodes.
struct Slow(crate::support::Wall);

impl Codec<String> for Slow {
    const FORMAT: u8 = 1;

    fn encode(&self, value: &String, to: &mut dyn Write) -> Result<(), CodecError> {
        if value == "slow" {
            self.0.block();
        }
        Json.encode(value, to)
    }

    fn decode(&self, bytes: &[u8]) -> Result<String, CodecError> {
        Json.decode(bytes)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_codec_that_blocks_holds_up_no_other_key() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let (wall, opener) = crate::support::Wall::new();
        let node = coalescer().across(builder(&server).codec(Slow(wall)).build().unwrap());
        let runs = Count::default();
        node.join("first", at_once(&runs, "quick")).await.unwrap();
        let slow = tokio::spawn(node.join("key", at_once(&runs, "slow")));
        until("it encodes", || runs.get() == 2).await;
        for key in 0..20 {
            assert_eq!(node.join(format!("other {key}"), at_once(&runs, "quick")).await.unwrap(), "quick");
        }
        assert!(!slow.is_finished());
        drop(opener);
        assert_eq!(slow.await.unwrap().unwrap(), "slow");
        assert_eq!(node.cluster().stats().fail_opens(), 0);
    })
    .await;
}
