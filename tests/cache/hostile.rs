//! User code that panics: it reaches at most the readers of its key.

use std::{
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::poll;
use shardflight::{
    JoinError, OnAbandon, TryJoinError,
    cache::{Cache, CacheHandle},
};

use crate::support::{Gate, Source, TTL, UsersHandle, limited, no_load, panic_quietly, settle, users};

/// Which of a key's or a value's functions panics, if armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trap {
    None,
    Hash,
    Eq,
    Clone,
    Drop,
}

#[derive(Debug)]
struct Hostile {
    number: u64,
    trap: Trap,
    is_armed: Arc<AtomicBool>,
}

impl Hostile {
    fn new(number: u64, trap: Trap, is_armed: &Arc<AtomicBool>) -> Self {
        Self { number, trap, is_armed: Arc::clone(is_armed) }
    }

    fn spring(&self, trap: Trap) {
        if self.trap == trap && self.is_armed.load(Ordering::SeqCst) {
            panic_quietly("sprung");
        }
    }
}

impl Clone for Hostile {
    fn clone(&self) -> Self {
        self.spring(Trap::Clone);
        Self::new(self.number, self.trap, &self.is_armed)
    }
}

impl PartialEq for Hostile {
    fn eq(&self, other: &Self) -> bool {
        self.spring(Trap::Eq);
        other.spring(Trap::Eq);
        self.number == other.number
    }
}

impl Eq for Hostile {}

impl Hash for Hostile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.spring(Trap::Hash);
        self.number.hash(state);
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.spring(Trap::Drop);
        }
    }
}

type Hostiles = CacheHandle<Hostile, u64, String>;

/// All keys in one shard of the store.
fn hostiles() -> Hostiles {
    let cache = Cache::builder().ttl(TTL).max_entries(32).coalescer(|flights| flights.shards(1).no_flight_deadline());
    cache.build().unwrap().handle()
}

async fn fill(hostiles: &Hostiles, numbers: std::ops::Range<u64>, armed: &Arc<AtomicBool>) {
    for number in numbers {
        let key = Hostile::new(number, Trap::None, armed);
        assert_eq!(hostiles.get(key, move || async move { Ok(number) }).await, Ok(number));
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_keys_hash_eq_or_clone_is_its_readers_own() {
    for trap in [Trap::Hash, Trap::Eq, Trap::Clone] {
        limited(async {
            let (hostiles, armed) = (hostiles(), Arc::new(AtomicBool::new(false)));
            fill(&hostiles, 0..20, &armed).await;
            // There is something to compare with.
            hostiles.insert(Hostile::new(100, trap, &armed), 100).await;
            if trap == Trap::Clone {
                hostiles.invalidate(Hostile::new(100, Trap::None, &armed)).await;
            }
            armed.store(true, Ordering::SeqCst);
            for _ in 0..3 {
                let read = hostiles.get(Hostile::new(100, trap, &armed), || async { Ok(100) }).await;
                assert!(matches!(read, Err(TryJoinError::Join(JoinError::Panicked(_)))), "{trap:?}: {read:?}");
            }
            armed.store(false, Ordering::SeqCst);
            fill(&hostiles, 0..64, &armed).await;
            let read = hostiles.get(Hostile::new(100, trap, &armed), || async { Ok(100) }).await;
            assert_eq!(read, Ok(100), "{trap:?}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_keys_drop_ends_in_the_cache() {
    limited(async {
        let (hostiles, armed) = (hostiles(), Arc::new(AtomicBool::new(true)));
        // All are evicted, replaced or removed in the end.
        for number in 0..200 {
            let key = || Hostile::new(number % 100, Trap::Drop, &armed);
            assert_eq!(hostiles.get(key(), move || async move { Ok(number) }).await.map(drop), Ok(()));
            if number % 3 == 0 {
                hostiles.insert(key(), number).await;
            }
            if number % 5 == 0 {
                hostiles.invalidate(key()).await;
            }
        }
        hostiles.invalidate_all().await;
        assert_eq!(hostiles.stats().entries, 0);
        fill(&hostiles, 0..64, &armed).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_values_clone_reaches_its_reader_and_one_in_its_drop_reaches_no_caller() {
    limited(async {
        let armed = Arc::new(AtomicBool::new(true));
        let cache: Cache<u64, Hostile, String> = Cache::builder().ttl(TTL).max_entries(32).build().unwrap();
        let values = cache.handle();
        let clone = values.get(7_u64, {
            let armed = armed.clone();
            || async move { Ok(Hostile::new(7, Trap::Clone, &armed)) }
        });
        assert!(matches!(clone.await, Err(TryJoinError::Join(JoinError::Panicked(_)))));
        armed.store(false, Ordering::SeqCst);
        // It is kept, and unharmed.
        assert_eq!(values.get(7_u64, || async { panic!("this read had to be a hit") }).await.unwrap().number, 7);

        armed.store(true, Ordering::SeqCst);
        for number in 0..100_u64 {
            values.insert(number, Hostile::new(number, Trap::Drop, &armed)).await;
        }
        values.insert(99_u64, Hostile::new(99, Trap::Drop, &armed)).await;
        values.invalidate(98_u64).await;
        values.invalidate_all().await;
        assert_eq!(values.stats().entries, 0);
    })
    .await;
}

/// A value whose drop reads the cache.
struct Curious(CacheHandle<u64, Curious, String>);

impl Drop for Curious {
    fn drop(&mut self) {
        assert!(self.0.stats().entries < 100);
    }
}

#[tokio::test(start_paused = true)]
async fn a_values_drop_may_use_the_cache() {
    limited(async {
        let cache: Cache<u64, Curious, String> = Cache::builder().ttl(TTL).max_entries(32).build().unwrap();
        let values = cache.handle();
        for number in 0..100_u64 {
            let value = Curious(values.clone());
            drop(values.get_shared(number, || async { Ok(value) }).await);
        }
        values.insert(99_u64, Curious(values.clone())).await;
        values.expire(99_u64).await;
        values.invalidate(99_u64).await;
        values.invalidate_all().await;
        assert_eq!(values.stats().entries, 0);
    })
    .await;
}

/// What a load may leave behind when it doesn't end: nothing.
async fn assert_unharmed(users: &UsersHandle) {
    settle().await;
    let source = Source::of(9);
    assert_eq!(users.stats().entries, 0);
    assert_eq!(users.get("ada", source.load()).await, Ok(9));
    assert_eq!(users.get("ada", no_load).await, Ok(9));
    assert_eq!((source.loads.get(), users.stats().rejected_fills), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_panics_leaves_no_place_taken() {
    limited(async {
        let users = users(|cache| cache);
        for _ in 0..3 {
            let read = users.get("ada", || async { panic_quietly("broken") }).await;
            assert!(matches!(read, Err(TryJoinError::Join(JoinError::Panicked(_)))));
        }
        assert_eq!(users.stats().load_errors, 3);
        assert_unharmed(&users).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_weigher_that_panics_leaves_no_place_taken() {
    limited(async {
        let weigher = |_: &String, value: &u64| if *value == 7 { panic_quietly("too much") } else { 1 };
        let users = users(|cache| cache.max_weight(100).weigher(weigher));
        let read = users.get("ada", Source::of(7).load()).await;
        assert!(matches!(read, Err(TryJoinError::Join(JoinError::Panicked(_)))));
        assert_unharmed(&users).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_aborted_load_leaves_no_place_taken() {
    limited(async {
        let users = users(|cache| cache.coalescer(|flights| flights.on_abandon(OnAbandon::Abort)));
        let (source, gate) = (Source::of(7), Gate::new());
        let mut read = Box::pin(users.get("ada", source.load_behind(&gate)));
        assert!(poll!(&mut read).is_pending());
        settle().await;
        assert_eq!(source.loads.get(), 1);
        drop(read);
        settle().await;
        assert_eq!(users.stats().load_errors, 1);
        assert_unharmed(&users).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_load_past_its_deadline_leaves_no_place_taken() {
    limited(async {
        let deadline = Duration::from_secs(1);
        let users = users(|cache| cache.coalescer(|flights| flights.max_flight_duration(deadline)));
        let read = users.get("ada", Source::of(7).load_behind(&Gate::new())).await;
        assert_eq!(read, Err(TryJoinError::Join(JoinError::TimedOut { after: deadline })));
        assert_unharmed(&users).await;
    })
    .await;
}
