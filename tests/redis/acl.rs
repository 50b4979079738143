//! What a user with an ACL has to be allowed, as the guide says.

use std::collections::HashMap;

use redis::Value;
use shardflight::{Freshness, redis::Cluster};

use crate::{
    server::{Server, is_missing},
    support::{Count, Gate, LIMIT, LONG_LEASE, Users, at_once, behind, limited, node_of, until, until_followed},
};

const GUIDE: &str = include_str!("../../docs/guide/cluster.md");

/// The guide's command, for the namespace of these tests.
fn documented_user() -> redis::Cmd {
    let (_, rest) = GUIDE.split_once("```text\nACL SETUSER ").expect("the guide has it");
    let (rules, _) = rest.split_once("```").expect("the end of the block");
    let mut command = redis::cmd("ACL");
    command.arg("SETUSER").arg(rules.replace("prod-reports", "tests").split_whitespace().collect::<Vec<_>>());
    command
}

fn node_with_acl(server: &Server) -> Users {
    let url = format!("redis://shardflight:secret@127.0.0.1:{}", server.port);
    node_of(Cluster::builder(url).namespace("tests").lease(LONG_LEASE).op_timeout(LONG_LEASE / 3).inline(10))
}

/// Leads and follows, with a value that is pushed, one that is fetched, and a join that moves a lease aside.
#[tokio::test]
async fn the_documented_acl_is_enough() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let mut admin = server.connect();
        documented_user().exec(&mut admin).expect("a user that redis takes");
        let (leader, follower) = (node_with_acl(&server), node_with_acl(&server));
        for value in ["short", "too long to be pushed"] {
            let (gate, runs) = (Gate::new(), Count::default());
            let led = tokio::spawn(leader.join(value, behind(&gate, &runs, value)));
            until("the lease is taken", || leader.cluster().stats().leases == 1).await;
            let shared = tokio::spawn(follower.join(value, at_once(&runs, "own")));
            until_followed(&server, 1).await;
            gate.open();
            assert_eq!(led.await.unwrap().unwrap(), value);
            assert_eq!(shared.await.unwrap().unwrap(), value);
            assert_eq!(runs.get(), 1);
        }
        let fresh = leader.with_freshness(Freshness::StartedAfterCall);
        assert_eq!(fresh.join("key", at_once(&Count::default(), "fresh")).await.unwrap(), "fresh");
        server.assert_empty_within(LIMIT);
        // The client says what it is, and doesn't mind if it may not.
        let denied: Vec<HashMap<String, Value>> = redis::cmd("ACL").arg("LOG").query(&mut admin).unwrap();
        let denied = denied.iter().map(|entry| format!("{:?}", entry["object"]));
        let denied: Vec<_> = denied.filter(|object| !object.contains("client|setinfo")).collect();
        assert!(denied.is_empty(), "{denied:?}");
    })
    .await;
}
