//! Coalescers that come and go, such as one per tenant.

use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_util::MetricKindMask;
use shardflight::{Coalescer, Metrics, cache::Cache};
use tokio::time::sleep;

use crate::exported::Exported;
use crate::support::{limited, settle};

const IDLE: Duration = Duration::from_secs(2);

fn tenant(exported: &Exported, name: &str) -> Coalescer<u32, u32> {
    let metrics = Metrics::named(name).report_every(Duration::from_millis(20));
    exported.to(|| Coalescer::builder().shards(2).metrics(metrics).build().unwrap())
}

#[tokio::test]
async fn gone_coalescers_leave_gauges_at_zero() {
    limited(async {
        let exported = Exported::new();
        for number in 0..50 {
            let coalescer = tenant(&exported, &format!("tenant-{number}"));
            coalescer.handle().join(1_u32, || async { 7 }).await.unwrap();
            drop(coalescer);
        }
        settle().await;
        for gauge in ["shardflight_flights", "shardflight_waiters", "shardflight_oldest_flight_age_seconds"] {
            assert!(exported.seconds(gauge, &[]).abs() < f64::EPSILON, "{gauge}");
        }
        // Without an idle timeout, an exporter keeps all series.
        assert_eq!(exported.labels()["coalescer"].len(), 50);
    })
    .await;
}

#[tokio::test]
async fn an_idle_timeout_drops_the_series_of_gone_coalescers_alone() {
    limited(async {
        let exported = Exported::of(PrometheusBuilder::new().idle_timeout(MetricKindMask::ALL, Some(IDLE)));
        let stays = tenant(&exported, "stays");
        let goes = tenant(&exported, "goes");
        for coalescer in [&stays, &goes] {
            coalescer.handle().join(1_u32, || async { 7 }).await.unwrap();
        }
        drop(goes);
        settle().await;
        assert!(exported.text().contains("\"goes\""));
        let started = Instant::now();
        // Where this process was held up for as long, those of the other are back with its next report.
        while exported.text().contains("\"goes\"")
            || exported.count("shardflight_joins_total", &[("coalescer", "stays")]) != 1
        {
            assert!(started.elapsed() < Duration::from_secs(30), "{}", exported.text());
            // The exporter's clock can't be paused.
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_idle_histogram_is_kept_alive() {
    limited(async {
        let exported = Exported::of(PrometheusBuilder::new().idle_timeout(MetricKindMask::ALL, Some(IDLE)));
        // As the process's recorder is for all threads.
        let _default = exported.as_default();
        let coalescer = tenant(&exported, "stays");
        let metrics = Metrics::named("cache").report_every(Duration::from_millis(20));
        let cache = Cache::<u32, u32, ()>::builder().ttl(Duration::from_mins(1)).metrics(metrics).build().unwrap();
        for _ in 0..2 {
            coalescer.handle().join(1_u32, || async { 7 }).await.unwrap();
            cache.handle().refresh(1_u32, || async { Ok(7) }).await.unwrap();
            assert_eq!((flights_measured(&exported), loads_measured(&exported)), (1, 1));
            let started = Instant::now();
            // The exporter has forgotten it, and has got a new one.
            while flights_measured(&exported) == 1 || loads_measured(&exported) == 1 {
                assert!(started.elapsed() < Duration::from_secs(30), "{}", exported.text());
                sleep(Duration::from_millis(20)).await;
            }
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

fn flights_measured(exported: &Exported) -> u64 {
    value(exported, "shardflight_flight_waiters_count{coalescer=\"stays\"} ")
}

fn loads_measured(exported: &Exported) -> u64 {
    value(exported, "shardflight_cache_load_duration_seconds_count{coalescer=\"cache\",outcome=\"value\"} ")
}

fn value(exported: &Exported, series: &str) -> u64 {
    exported.text().lines().find_map(|line| line.strip_prefix(series)).map_or(0, |value| value.parse().unwrap())
}
