//! Spans, events and metrics.

use std::{
    io,
    sync::{Arc, Mutex},
};

use metrics_exporter_prometheus::PrometheusBuilder;
use tracing_subscriber::{filter::LevelFilter, fmt};

use crate::support::{Backend, Item, at_once, items, limited, patient, settle};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_tells_of_its_beginning_and_its_end_in_its_span() {
    // Without one that all threads have, an event that another thread meets first is taken for one that no subscriber wants.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        fmt().with_max_level(LevelFilter::DEBUG).with_writer(move || writer.clone()).with_ansi(false).finish();
    let _default = tracing::subscriber::set_default(subscriber);
    limited(async {
        let items = items(&Backend::default(), patient, |keys| {
            Box::pin(async move {
                keys.fulfil(Item::from(9), Ok(Item::from(9)));
                tracing::info!("in the loader");
                Err(Item::from(0))
            })
        });
        items.load_many(1..4_u64).await;
    })
    .await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for line in [
        "batch{keys=3}: shardflight: batch started keys=3",
        "batch{keys=3}: shardflight: batch ignored an answer",
        "batch{keys=3}: batch::telling: in the loader",
        r#"batch{keys=3}: shardflight: batch ended outcome="error" missing=0"#,
    ] {
        assert!(log.contains(line), "{line} is missing in:\n{log}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_batcher_counts_is_exported_under_its_name() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _default = metrics::set_default_local_recorder(&recorder);
    limited(async {
        let items = items(&Backend::default(), |batcher| patient(batcher).metrics("items"), at_once);
        items.load_many([1_u64, 2, 2]).await;
        drop(items);
        settle().await;
    })
    .await;
    let exported = recorder.handle().render();
    for line in [
        r#"shardflight_batch_batches_total{batcher="items"} 1"#,
        r#"shardflight_batch_keys_total{batcher="items"} 2"#,
        r#"shardflight_batch_running{batcher="items"} 0"#,
        r#"shardflight_joins_total{coalescer="items",shard="0"} 3"#,
    ] {
        assert!(exported.contains(line), "{line} is missing in:\n{exported}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_counts_are_readable() {
    limited(async {
        let items = items(&Backend::default(), patient, |keys| {
            Box::pin(async move {
                keys.fulfil(Item::from(1), Err(Item::from(0)));
                keys.fulfil(Item::from(9), Ok(Item::from(9)));
                Ok(())
            })
        });
        items.load_many([1_u64, 2, 2]).await;
        assert_eq!(
            items.stats().await.unwrap().to_string(),
            "loads: 3, 1 coalesced, 0 abandoned\n\
             batches: 1, with 2.0 keys on average and 2 at most\n\
             failures: 1 keys missing, 1 errors of keys, 1 answers unasked; of batches 0 errors, 0 panics, 0 aborts\n\
             now: 0 keys queued, 0 batches running"
        );
    })
    .await;
}
