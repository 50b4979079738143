//! A master, a replica and a Sentinel that puts one in the other's place.

use std::{
    env, fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use shardflight::redis::Cluster;

use crate::{
    server::{Server, free_port, is_missing},
    support::{Count, Gate, LONG_LEASE, at_once, behind, coalescer, limited, until, until_led},
};

#[derive(Debug)]
struct Sentinel {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Sentinel {
    fn start(master: &Server) -> Self {
        let port = free_port();
        let folder = env::temp_dir().join(format!("shardflight-sentinel-{}-{port}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the Sentinel");
        let config = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n",
            folder.display(),
            master.port
        );
        let file = folder.join("sentinel.conf");
        fs::write(&file, config).expect("a file for the Sentinel");
        let child = Command::new("redis-server")
            .arg(&file)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        Self { child, port, folder }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// It knows of the master's replica.
    fn is_ready(&self) -> bool {
        let asked = redis::Client::open(self.url()).and_then(|client| {
            let replicas = redis::cmd("SENTINEL").arg("REPLICAS").arg("main").to_owned();
            replicas.query::<Vec<redis::Value>>(&mut client.get_connection_with_timeout(Duration::from_secs(1))?)
        });
        asked.is_ok_and(|replicas| !replicas.is_empty())
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn the_master_that_the_sentinels_name_is_followed() {
    if is_missing() {
        return;
    }
    limited(async {
        let mut master = Server::start();
        let port = master.port.to_string();
        let replica = Server::start_with(&["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"]);
        let sentinel = Sentinel::start(&master);
        until("the Sentinel knows the replica", || sentinel.is_ready()).await;
        let is_synced = || {
            let replication: String = redis::cmd("INFO").arg("replication").query(&mut replica.connect()).unwrap();
            replication.contains("master_link_status:up")
        };
        until("the replica is synced", is_synced).await;

        let node = || {
            let server = shardflight::redis::Server::sentinel("main", [sentinel.url()]);
            let cluster = Cluster::builder(server).namespace("tests").lease(LONG_LEASE).op_timeout(LONG_LEASE / 3);
            coalescer().across(cluster.build().unwrap())
        };
        let (one, two) = (node(), node());
        until_led(&one).await;
        until_led(&two).await;
        master.kill();
        // They go alone meanwhile.
        until_led(&one).await;
        until_led(&two).await;
        let (gate, runs) = (Gate::new(), Count::default());
        let led = tokio::spawn(one.join("shared", behind(&gate, &runs, "led")));
        until("the lease is taken", || one.cluster().stats().leases == 1).await;
        let shared = tokio::spawn(two.join("shared", at_once(&runs, "own")));
        until("it follows", || two.cluster().stats().waiting == 1).await;
        crate::support::until_followed(&replica, 1).await;
        gate.open();
        assert_eq!(led.await.unwrap().unwrap(), "led");
        assert_eq!(shared.await.unwrap().unwrap(), "led");
        assert_eq!(runs.get(), 1);
    })
    .await;
}
