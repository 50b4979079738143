//! Three masters with a replica each, on the loopback.

use std::{
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use shardflight::redis::Cluster;

use crate::{
    server::{Server, is_missing},
    support::{LEASE, LIMIT, Users, coalescer, limited},
};

pub(crate) struct RedisCluster {
    servers: Vec<Server>,
}

impl RedisCluster {
    pub(crate) fn start() -> Self {
        // Replicas that are there at once, and that take over whatever their age.
        let arguments = "--cluster-enabled yes --cluster-node-timeout 1000 --cluster-config-file nodes.conf \
                         --cluster-replica-validity-factor 0 --repl-diskless-sync-delay 0";
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        let servers: Vec<_> = (0..6).map(|_| Server::start_with(&arguments)).collect();
        let addresses = servers.iter().map(|server| format!("127.0.0.1:{}", server.port));
        let created = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(addresses)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .stdout(Stdio::null())
            .status();
        assert!(
            created.is_ok_and(|status| status.success()),
            "redis-cli makes no cluster; Debian's redis-tools has it"
        );
        let cluster = Self { servers };
        cluster.wait_until_complete();
        cluster
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.servers.iter().map(Server::url).collect()
    }

    /// All know of all, and each master has its replica.
    fn wait_until_complete(&self) {
        let deadline = Instant::now() + LIMIT;
        let is_complete = |server: &Server| {
            let nodes: String = redis::cmd("CLUSTER").arg("NODES").query(&mut server.connect()).unwrap_or_default();
            let info: String = redis::cmd("CLUSTER").arg("INFO").query(&mut server.connect()).unwrap_or_default();
            let replication: String =
                redis::cmd("INFO").arg("replication").query(&mut server.connect()).unwrap_or_default();
            let is_synced = replication.contains("role:master") || replication.contains("master_link_status:up");
            info.contains("cluster_state:ok") && nodes.matches("slave").count() == 3 && is_synced
        };
        while !self.servers.iter().all(is_complete) {
            assert!(Instant::now() < deadline, "the cluster isn't complete");
            sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn followers(&self) -> usize {
        self.servers.iter().map(Server::followers).sum()
    }

    /// Until its replica has taken its place.
    pub(crate) fn kill_master_of(&mut self, tag: &str) {
        drop(self.servers.remove(self.master_of(tag).expect("one of ours")));
        self.wait_until_replaced(tag);
    }

    /// The same, but the master's connections stay, and it answers no more.
    fn silence_master_of(&mut self, tag: &str) -> Server {
        let silent = self.servers.remove(self.master_of(tag).expect("one of ours"));
        silent.pause();
        self.wait_until_replaced(tag);
        silent
    }

    fn wait_until_replaced(&self, tag: &str) {
        let deadline = Instant::now() + LIMIT;
        while self.master_of(tag).is_none() {
            assert!(Instant::now() < deadline, "no replica takes its place");
            sleep(Duration::from_millis(20));
        }
    }

    /// As the first server has it. `None` if it is gone.
    fn master_of(&self, tag: &str) -> Option<usize> {
        let connection = &mut self.servers[0].connect();
        let slot: u16 = redis::cmd("CLUSTER").arg("KEYSLOT").arg(tag).query(connection).expect("a slot");
        let nodes: String = redis::cmd("CLUSTER").arg("NODES").query(connection).expect("nodes");
        let owns = |range: &str| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse()) else { return false };
            (first..=last).contains(&slot)
        };
        let master = nodes.lines().find(|line| line.split(' ').skip(8).any(owns)).expect("an owner");
        let is_master = |server: &Server| master.contains(&format!("127.0.0.1:{}@", server.port));
        self.servers.iter().position(is_master)
    }
}

/// Whether the work had a lease.
async fn is_led(node: &Users, key: &str) -> bool {
    let (told, token) = tokio::sync::oneshot::channel();
    let work = |fence: shardflight::redis::Fence| async move {
        let _ = told.send(fence.token());
        String::new()
    };
    node.join_fenced(key, work).await.expect("it runs");
    token.await.expect("it ran here").is_some()
}

#[tokio::test]
async fn a_master_that_falls_silent_is_given_up_for_the_one_in_its_place() {
    if is_missing() {
        return;
    }
    limited(async {
        let mut servers = RedisCluster::start();
        let server = shardflight::redis::Server::cluster(servers.urls());
        let options = Cluster::builder(server).namespace("tests").lease(LEASE * 2).op_timeout(LEASE / 2);
        let node = coalescer().across(options.build().unwrap());
        let tag = |key: &str| format!("{{tests:{}:{key}}}", key.len());
        let master = servers.master_of(&tag("key-0"));
        let keys = (0..100).map(|number| format!("key-{number}"));
        let (lost, kept): (Vec<_>, Vec<_>) = keys.partition(|key| servers.master_of(&tag(key)) == master);
        let deadline = Instant::now() + LIMIT;
        while !is_led(&node, &lost[0]).await {
            assert!(Instant::now() < deadline, "never led: {:?}", node.cluster().stats());
        }

        let silent = servers.silence_master_of(&tag(&lost[0]));
        // Joins of other masters' keys succeed meanwhile, so the breaker stays closed.
        for (lost, kept) in lost.iter().cycle().zip(kept.iter().cycle()) {
            if is_led(&node, lost).await {
                break;
            }
            is_led(&node, kept).await;
            assert!(Instant::now() < deadline, "its keys run alone: {:?}", node.cluster().stats());
        }
        silent.resume();
    })
    .await;
}
