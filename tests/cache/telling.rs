//! Numbers and events.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use shardflight::{
    TryJoinError,
    cache::{CacheStats, RejectReason, StaleReason},
};
use tracing_subscriber::{filter::LevelFilter, fmt};

use crate::support::{Gate, Source, TTL, advance, in_a_child_process, limited, settle, users};

#[tokio::test(start_paused = true)]
async fn every_read_is_counted_once() {
    limited(async {
        let users = users(|cache| {
            let cache = cache.stale_while_revalidate(TTL).stale_if_error(2 * TTL).negative_ttl(10 * TTL);
            cache.negative_if(|error| error.as_str() == "gone")
        });
        assert_eq!((users.stats(), users.stats().hit_rate().to_bits()), (CacheStats::default(), 0));
        let source = Source::of(7);
        users.get("ada", source.load()).await.unwrap(); // miss
        users.get("ada", source.load()).await.unwrap(); // hit
        let gone = || async { Err("gone".to_owned()) };
        users.get("bob", gone).await.unwrap_err(); // miss
        users.get("bob", gone).await.unwrap_err(); // negative hit
        advance(TTL).await;
        users.get("ada", source.fail()).await.unwrap(); // stale hit, refresh
        settle().await;
        users.get("ada", source.fail()).await.unwrap(); // stale hit by backoff
        advance(TTL).await;
        users.get("ada", source.fail()).await.unwrap(); // miss, with a fallback
        let stats = users.stats();
        let reads = stats.hits + stats.stale_hits + stats.negative_hits + stats.misses;
        assert_eq!((stats.hits, stats.stale_hits, stats.negative_hits, stats.misses), (1, 2, 1, 3));
        assert_eq!((reads, stats.hit_rate().to_bits()), (7, (4.0_f64 / 7.0).to_bits()));
        assert_eq!((stats.loads, stats.load_errors, stats.refreshes, stats.fail_safe), (4, 2, 1, 2));
        assert_eq!((stats.rejected_fills, stats.evictions, stats.entries, stats.weight), (0, 0, 2, 2));
        assert!(StaleReason::ALL.iter().map(|&reason| stats.stale_by(reason)).eq([1, 1, 1, 0]), "{stats:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn slow_loads_are_a_reason_of_expired_values() {
    limited(async {
        let users = users(|cache| cache.stale_if_error(TTL).soft_timeout(Duration::from_secs(1)));
        users.insert("ada", 7).await;
        advance(TTL).await;
        let gate = Gate::new();
        for _ in 0..2 {
            // The first waits for as long as it may, the second not at all.
            assert_eq!(users.get("ada", Source::of(8).load_behind(&gate)).await, Ok(7));
        }
        let stats = users.stats();
        assert_eq!((stats.misses, stats.stale_hits, stats.fail_safe), (1, 1, 2));
        assert_eq!(stats.stale_by(StaleReason::LoadSlow), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_is_no_read_of_an_expired_value() {
    limited(async {
        let users = users(|cache| cache.stale_if_error(TTL));
        users.insert("ada", 7).await;
        advance(TTL).await;
        users.refresh("ada", Source::of(8).fail()).await.unwrap_err();
        let stats = users.stats();
        assert_eq!((stats.load_errors, stats.fail_safe, stats.stale_hits, stats.misses), (1, 0, 0, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn rejected_fills_are_counted_by_reason() {
    limited(async {
        let users = users(|cache| cache.max_weight(100).weigher(|_, weight| *weight));
        let rejected = || RejectReason::ALL.iter().map(|&reason| users.stats().rejected_by(reason)).collect::<Vec<_>>();
        users.get("heavy", Source::of(1_000).load()).await.unwrap();
        assert_eq!(rejected(), [0, 1, 0]);
        users.get("grows", Source::of(1).load()).await.unwrap();
        users.refresh("grows", Source::of(1_000).load()).await.unwrap();
        assert_eq!(rejected(), [0, 2, 0]);

        for key in 0..100 {
            users.get(key.to_string(), Source::of(1).load()).await.unwrap();
        }
        users.get("without room", Source::of(40).load()).await.unwrap();
        assert_eq!(rejected(), [0, 2, 1]);

        for is_refresh in [false, true] {
            let gate = Gate::new();
            let load = Source::of(1).load_behind(&gate);
            let mut read = if is_refresh {
                users.insert("ada", 7).await;
                Box::pin(users.refresh("ada", load)) as Loading<'_>
            } else {
                Box::pin(users.get("ada", load))
            };
            assert!(futures::poll!(&mut read).is_pending());
            settle().await;
            users.invalidate("ada").await;
            gate.open();
            read.await.unwrap();
        }
        assert_eq!((rejected(), users.stats().rejected_fills), (vec![2, 2, 1], 5));
    })
    .await;
}

type Loading<'a> = Pin<Box<dyn Future<Output = Result<u64, TryJoinError<String>>> + 'a>>;

/// What a subscriber wrote.
#[derive(Clone, Debug, Default)]
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

/// In a process of its own: what other tests' threads do to tracing's caches doesn't matter there.
#[test]
fn failures_backoffs_and_rejected_fills_are_told() {
    in_a_child_process("telling::failures_backoffs_and_rejected_fills_are_told", || async {
        tokio::time::pause();
        let log = Log::default();
        let writer = log.clone();
        let subscriber = fmt().with_max_level(LevelFilter::DEBUG).with_ansi(false).without_time();
        tracing::subscriber::set_global_default(subscriber.with_writer(move || writer.clone()).finish()).unwrap();

        let users = users(|cache| cache.stale_if_error(TTL).error_backoff(Duration::from_secs(2)..=TTL));
        users.insert("ada", 7).await;
        advance(TTL).await;
        users.get("ada", Source::of(8).fail()).await.unwrap();
        // There is nothing to serve meanwhile, so nothing backs off.
        advance(TTL).await;
        users.get("ada", Source::of(8).fail()).await.unwrap_err();
        let gate = Gate::new();
        let mut read = Box::pin(users.get("bob", Source::of(8).load_behind(&gate)));
        assert!(futures::poll!(&mut read).is_pending());
        settle().await;
        users.invalidate("bob").await;
        gate.open();
        read.await.unwrap();

        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let told = log.lines().filter_map(|line| line.split_once("shardflight: ")).map(|(_, told)| told.trim());
        assert_eq!(
            told.filter(|told| told.starts_with("cache ")).collect::<Vec<_>>(),
            [
                "cache load failed",
                "cache backs off failures=1 backoff=2.0",
                "cache load failed",
                "cache fill rejected reason=\"invalidated\"",
            ]
        );
    });
}
