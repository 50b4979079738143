//! Recorders are user code, and may panic.

use std::{
    collections::BTreeMap,
    sync::atomic::AtomicUsize,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};
use shardflight::{Coalescer, Metrics};

use crate::exported::Exported;
use crate::support::{at_rest, limited, panic_quietly, settle};

/// Panics at registration and later, or only later.
#[derive(Clone, Debug, Default)]
pub(crate) struct Panics {
    at_registration: bool,
    calls: Arc<AtomicUsize>,
}

impl Panics {
    pub(crate) fn new(at_registration: bool) -> Self {
        Self { at_registration, calls: Arc::default() }
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn call(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        panic_quietly("in a recorder");
    }

    fn register(&self) -> Arc<Self> {
        if self.at_registration {
            self.call();
        }
        Arc::new(self.clone())
    }
}

impl Recorder for Panics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.register();
    }
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.register();
    }
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.register();
    }
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.register())
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.register())
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.register())
    }
}

impl CounterFn for Panics {
    fn increment(&self, _: u64) {
        self.call();
    }
    fn absolute(&self, _: u64) {
        self.call();
    }
}

impl GaugeFn for Panics {
    fn increment(&self, _: f64) {
        self.call();
    }
    fn decrement(&self, _: f64) {
        self.call();
    }
    fn set(&self, _: f64) {
        self.call();
    }
}

impl HistogramFn for Panics {
    fn record(&self, _: f64) {
        self.call();
    }
}

#[tokio::test(start_paused = true)]
async fn recorder_panics_are_contained() {
    limited(async {
        for at_registration in [true, false] {
            let recorder = Panics { at_registration, ..Panics::default() };
            let build = || Coalescer::<u32, u32>::builder().shards(1).metrics("users").build().unwrap();
            let coalescer = with_local_recorder(&recorder, build);
            let handle = coalescer.handle();
            for key in 0..10_u32 {
                assert_eq!(handle.join(key, move || async move { key }).await.unwrap(), key);
            }
            settle().await;
            tokio::time::advance(Duration::from_secs(1)).await;
            settle().await;
            let stats = at_rest(&handle).await;
            assert_eq!((stats.joins, stats.executions), (10, 10));
            let shutdown = coalescer.shutdown(Duration::from_secs(1)).await;
            assert_eq!(shutdown.cut, 0);
            settle().await;
            // At registration: one description, and then each metric. Otherwise: ten flights and callers, and two reports.
            let calls = recorder.calls.load(Ordering::SeqCst);
            assert_eq!(calls, if at_registration { 1 + 24 + 9 } else { 10 * 3 + 2 * 24 });
        }
    })
    .await;
}

/// Records all descriptions.
#[derive(Debug, Default)]
struct Descriptions(Mutex<BTreeMap<String, (Option<Unit>, String)>>);

impl Descriptions {
    fn take(&self, name: &KeyName, unit: Option<Unit>, description: &SharedString) {
        self.0.lock().unwrap().insert(name.as_str().to_owned(), (unit, description.to_string()));
    }
}

impl Recorder for Descriptions {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.take(&name, unit, &description);
    }
    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.take(&name, unit, &description);
    }
    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.take(&name, unit, &description);
    }
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn each_metric_is_described() {
    let build = || Coalescer::<u32, u32>::builder().shards(1).metrics(Metrics::named("users")).build().unwrap();
    let exported = Exported::new();
    let _coalescer = exported.to(build);
    let described = Descriptions::default();
    let _coalescer = with_local_recorder(&described, build);
    let described = described.0.into_inner().unwrap();
    assert!(exported.names().iter().eq(described.keys()), "{:?}\n{described:?}", exported.names());
    for (name, (unit, description)) in described {
        let expected = if name.ends_with("_seconds") { Unit::Seconds } else { Unit::Count };
        assert_eq!(unit, Some(expected), "{name}");
        assert!(description.ends_with('.'), "{name}: {description}");
    }
}
