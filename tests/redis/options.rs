//! What a builder takes, and what it refuses.

use std::time::Duration;

use shardflight::redis::{Cluster, ClusterBuildError, ClusterBuilder, Server};

fn options() -> ClusterBuilder {
    Cluster::builder("redis://127.0.0.1").namespace("tests")
}

fn refusal(options: ClusterBuilder) -> ClusterBuildError {
    options.build().expect_err("it makes no sense")
}

#[test]
fn builds_without_a_server_and_without_a_runtime() {
    let cluster = options().build().unwrap();
    assert_eq!(cluster.stats(), shardflight::redis::ClusterStats::default());
}

#[test]
fn refuses_namespaces_that_others_could_share() {
    assert!(matches!(refusal(Cluster::builder("redis://127.0.0.1")), ClusterBuildError::Namespace { .. }));
    for namespace in ["a:b", "a b", "{a}", "ä", "\n", &"x".repeat(65)] {
        assert!(matches!(refusal(options().namespace(namespace)), ClusterBuildError::Namespace { .. }), "{namespace}");
    }
    assert!(options().namespace("users-v3/eu_1.prod").build().is_ok());
}

#[test]
fn refuses_leases_that_no_operation_fits_into() {
    let lease = |lease, op| options().lease(Duration::from_millis(lease)).op_timeout(Duration::from_millis(op));
    assert!(lease(300, 100).build().is_ok());
    assert!(matches!(refusal(lease(299, 100)), ClusterBuildError::Lease { .. }));
    assert!(matches!(refusal(lease(9, 1)), ClusterBuildError::Lease { .. }));
    assert!(matches!(refusal(lease(300, 0)), ClusterBuildError::ZeroDuration { option: "op_timeout" }));
    assert!(matches!(refusal(options().wait_at_most(Duration::ZERO)), ClusterBuildError::ZeroDuration { .. }));
}

#[test]
fn refuses_sizes_beyond_what_redis_holds() {
    assert!(matches!(refusal(options().max_value(1 << 30)), ClusterBuildError::Size { option: "max_value", .. }));
    assert!(matches!(refusal(options().inline(1 << 30)), ClusterBuildError::Size { option: "inline", .. }));
}

#[test]
fn refuses_urls_that_are_none_and_shows_no_password() {
    let bad = Cluster::builder("nonsense").namespace("tests");
    assert!(matches!(refusal(bad), ClusterBuildError::Server(_)));
    let secret = Cluster::builder("redis://:hunter2@127.0.0.1").namespace("tests");
    assert!(!format!("{secret:?}").contains("hunter2"));
    assert!(!format!("{:?}", secret.build().unwrap()).contains("hunter2"));
}

#[test]
fn takes_clusters_and_sentinels() {
    let cluster = Server::cluster(["redis://127.0.0.1:7000", "redis://127.0.0.1:7001"]);
    assert!(Cluster::builder(cluster).namespace("tests").build().is_ok());
    assert!(Cluster::builder(Server::cluster(Vec::<String>::new())).namespace("tests").build().is_err());
    let sentinel = Server::sentinel("main", ["redis://127.0.0.1:26379"]).master_like("redis://:secret@any/1");
    assert!(Cluster::builder(sentinel).namespace("tests").build().is_ok());
}
