//! What a cluster exports, and what it tells a subscriber.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use metrics_exporter_prometheus::PrometheusBuilder;
use shardflight::{Metrics, redis::FailOpen};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};

use crate::{
    server::{Server, is_missing},
    support::{
        Count, Gate, at_once, behind, builder, coalescer, in_a_child_process, limited, node, until, until_followed,
    },
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
        until("nothing is left", || exports(r#"shardflight_cluster_connected{cluster="users"} 0"#)).await;
    })
    .await;
}

/// The messages of all events of the crate's target, in their order.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Message<'a>(&'a mut String);
        impl Visit for Message<'_> {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                if field.name() == "message" {
                    *self.0 = format!("{value:?}");
                }
            }
        }
        if event.metadata().target() == "shardflight" {
            let mut message = String::new();
            event.record(&mut Message(&mut message));
            self.0.lock().unwrap().push(message);
        }
    }
}

/// In a process of its own: what other tests' threads do to tracing's caches doesn't matter there.
#[test]
fn flights_are_told_of_where_they_run() {
    if is_missing() {
        return;
    }
    in_a_child_process("telling::flights_are_told_of_where_they_run", || async {
        let server = Server::start();
        let events = Events::default();
        let _subscribed = tracing::subscriber::set_default(tracing_subscriber::registry().with(events.clone()));
        let (leader, follower) = (node(&server), node(&server));
        let (gate, runs) = (Gate::new(), Count::default());
        let led = tokio::spawn(leader.join("key", behind(&gate, &runs, "led")));
        until("the lease is taken", || leader.cluster().stats().leases == 1).await;
        let shared = tokio::spawn(follower.join("key", at_once(&runs, "own")));
        until_followed(&server, 1).await;
        server.flush();
        gate.open();
        led.await.unwrap().unwrap();
        server.flush();
        drop(shared);
        let long = follower.join("x".repeat(5000), at_once(&runs, "alone"));
        long.await.unwrap();
        let of_cluster = |message: &&String| message.starts_with("cluster");
        let told: Vec<_> = events.0.lock().unwrap().iter().filter(of_cluster).cloned().collect();
        assert_eq!(told, ["cluster flight led", "cluster lease lost", "cluster flight ran alone"]);
    });
}
