//! What a cluster exports, and what it tells a subscriber.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use shardflight::{Metrics, redis::FailOpen};

use crate::{
    server::{Server, is_missing},
    support::{Count, at_once, builder, coalescer, limited, until},
};

#[tokio::test]
async fn metrics_are_what_stats_say() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = Metrics::named("users").report_every(Duration::from_millis(10));
        let options = builder(&server).metrics(metrics);
        let cluster = metrics::with_local_recorder(&recorder, || options.build()).unwrap();
        let node = coalescer().across(cluster);
        let runs = Count::default();
        for _ in 0..3 {
            node.join("key", at_once(&runs, "led")).await.unwrap();
        }
        let exports = |line: &str| recorder.handle().render().lines().any(|other| other == line);
        until("a report", || exports(r#"shardflight_cluster_led_total{cluster="users"} 3"#)).await;
        assert!(exports(r#"shardflight_cluster_connected{cluster="users"} 1"#));
        assert!(exports(r#"shardflight_cluster_open{cluster="users"} 0"#));
        for reason in FailOpen::ALL {
            let line = format!(r#"shardflight_cluster_fail_opens_total{{cluster="users",reason="{reason}"}} 0"#);
            assert!(exports(&line), "{line}");
        }
        let stats = node.cluster().stats();
        until("a later report", || {
            exports(&format!(r#"shardflight_cluster_round_trips_total{{cluster="users"}} {}"#, stats.round_trips))
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn the_last_report_is_made_when_the_cluster_goes() {
    if is_missing() {
        return;
    }
    limited(async {
        let server = Server::start();
        let recorder = PrometheusBuilder::new().build_recorder();
        let options = builder(&server).metrics(Metrics::named("users").report_every(Duration::from_hours(1)));
        let cluster = metrics::with_local_recorder(&recorder, || options.build()).unwrap();
        let node = coalescer().across(cluster);
        node.join("key", at_once(&Count::default(), "led")).await.unwrap();
        drop(node);
        let exports = |line: &str| recorder.handle().render().contains(line);
        until("the last report", || exports(r#"shardflight_cluster_led_total{cluster="users"} 1"#)).await;
    })
    .await;
}
