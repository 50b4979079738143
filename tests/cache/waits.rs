//! Readers that wait for so long and no longer.

use std::{task::Poll, time::Duration};

use futures::poll;
use shardflight::{
    JoinError, OnAbandon, OnExpiry, TryJoinError,
    cache::{CacheBuilder, Fill, Lookup, StaleReason},
};

use tokio::{task::yield_now, time::Instant};

use crate::support::{Gate, Source, TTL, UsersHandle, advance, limited, no_load, settle, users};

const WINDOW: Duration = Duration::from_mins(10);
const WAIT: Duration = Duration::from_secs(1);

/// Whose loads end with their last caller.
fn aborting() -> UsersHandle {
    users(|cache| {
        cache.stale_while_revalidate(WINDOW / 2).stale_if_error(WINDOW).coalescer(|flights| {
            let flights = flights.shards(1).no_flight_deadline();
            flights.on_abandon(OnAbandon::Abort)
        })
    })
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_waits_no_longer_gets_what_expired_and_starts_no_backoff() {
    limited(async {
        let (users, source, gate) = (users(|cache| cache.stale_if_error(WINDOW)), Source::of(8), Gate::new());
        users.insert("ada", 7).await;
        advance(TTL).await;
        let mut patient = Box::pin(users.get("ada", source.load_behind(&gate)));
        assert!(poll!(&mut patient).is_pending());
        let served = users.with_max_wait(WAIT).lookup("ada", no_load).await.unwrap();
        assert_eq!(served.value, Ok(7));
        assert_eq!(served.state, Lookup::Stale { age: TTL + WAIT, why: StaleReason::LoadSlow });
        // The next one waits for the load like the first, rather than for a backoff.
        let mut next = Box::pin(users.get("ada", no_load));
        assert!(poll!(&mut next).is_pending());
        gate.open();
        assert_eq!((patient.await, next.await, source.loads.get()), (Ok(8), Ok(8), 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_background_load_is_not_its_readers_to_limit() {
    limited(async {
        let (users, source, gate) = (aborting(), Source::of(8), Gate::new());
        users.insert("ada", 7).await;
        advance(TTL).await;
        assert_eq!(users.with_max_wait(WAIT).get("ada", source.load_behind(&gate)).await, Ok(7));
        settle().await;
        advance(2 * WAIT).await;
        settle().await;
        gate.open();
        settle().await;
        assert_eq!((users.get("ada", no_load).await, users.stats().load_errors), (Ok(8), 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refresh_goes_on_when_its_caller_leaves_or_waits_no_longer() {
    limited(async {
        for leaves in [false, true] {
            let (users, source, gate) = (aborting(), Source::of(8), Gate::new());
            let impatient = users.with_max_wait(WAIT);
            let mut refresh = Box::pin(impatient.refresh("ada", source.load_behind(&gate)));
            assert!(poll!(&mut refresh).is_pending());
            settle().await;
            if leaves {
                drop(refresh);
            } else {
                assert_eq!(refresh.await, Err(TryJoinError::Join(JoinError::TimedOut { after: WAIT })));
            }
            gate.open();
            settle().await;
            assert_eq!((users.get("ada", no_load).await, source.loads.get()), (Ok(8), 1), "leaves: {leaves}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_counts_from_the_read_through_all_that_it_joins() {
    limited(async {
        let (users, source) = (users(|cache| cache), Source::of(7));
        let [first, second] = [Gate::new(), Gate::new()];
        let passed = first.pass();
        let tagged = move |_| async move {
            passed.await;
            Ok(Fill::new(7).tag("team"))
        };
        let mut old = Box::pin(users.get_with("ada", tagged));
        assert!(poll!(&mut old).is_pending());
        settle().await;
        users.invalidate_tag("team").await;
        // Joins that load, which turns out to be too old for it, and then has one of its own.
        let impatient = users.with_max_wait(WAIT);
        let mut read = Box::pin(impatient.get("ada", source.load_behind(&second)));
        assert!(poll!(&mut read).is_pending());
        advance(WAIT / 2).await;
        first.open();
        assert_eq!(old.await, Ok(7));
        assert!(poll!(&mut read).is_pending());
        settle().await;
        assert_eq!(source.loads.get(), 1);
        advance(WAIT / 2).await;
        let read = poll!(&mut read);
        assert_eq!(read, Poll::Ready(Err(TryJoinError::Join(JoinError::TimedOut { after: WAIT }))));
    })
    .await;
}

/// Under `OnExpiry::Detach`, callers wait on for a load that new reads pass over.
#[tokio::test(start_paused = true)]
async fn a_load_that_never_ends_keeps_no_key_from_being_loaded() {
    limited(async {
        for is_soft in [false, true] {
            let users = users(|cache| {
                let cache = if is_soft { cache.soft_timeout(WAIT) } else { cache.stale_while_revalidate(WINDOW) };
                cache
                    .stale_if_error(WINDOW)
                    .error_backoff(WAIT..=WAIT)
                    .coalescer(|flights| flights.max_flight_duration(5 * WAIT).on_expiry(OnExpiry::Detach))
            });
            let (source, never) = (Source::of(8), Gate::new());
            users.insert("ada", 7).await;
            advance(TTL).await;
            assert_eq!(users.get("ada", source.load_behind(&never)).await, Ok(7));
            settle().await;
            advance(5 * WAIT).await;
            settle().await;
            // The backoff that the load's deadline has begun.
            advance(WAIT).await;
            users.get("ada", source.load()).await.unwrap();
            settle().await;
            assert_eq!((users.get("ada", no_load).await, source.loads.get()), (Ok(8), 2), "{is_soft}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_load_that_reads_its_own_expired_key_softly_is_told_so() {
    limited(async {
        let users = users(|cache| cache.soft_timeout(WAIT).stale_if_error(WINDOW));
        users.insert("ada", 7).await;
        advance(TTL).await;
        let (inner, begun) = (users.clone(), Instant::now());
        let load = move || async move {
            let own = inner.get("ada", no_load).await;
            assert_eq!(own, Err(TryJoinError::Join(JoinError::Reentrant)));
            Ok(8)
        };
        assert_eq!(users.get("ada", load).await, Ok(8));
        assert_eq!(begun.elapsed(), Duration::ZERO);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_load_whose_key_is_read_by_a_load_that_it_reads_softly_is_told_so() {
    limited(async {
        let users = users(|cache| cache.soft_timeout(WAIT).stale_if_error(WINDOW));
        users.insert("bob", 7).await;
        advance(TTL).await;
        let (outer, inner, begun) = (users.clone(), users.clone(), Instant::now());
        let load_bob = move || async move {
            // So that the soft read is pending after its first poll.
            yield_now().await;
            assert_eq!(inner.get("ada", no_load).await, Err(TryJoinError::Join(JoinError::Reentrant)));
            Ok(8)
        };
        let load_ada = move || async move { outer.get("bob", load_bob).await.map_err(|error| error.to_string()) };
        assert_eq!(users.get("ada", load_ada).await, Ok(8));
        assert_eq!(begun.elapsed(), Duration::ZERO);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refresh_waits_behind_reads_that_have_no_value() {
    limited(async {
        let limit = |cache: CacheBuilder<_, _, _>| cache.coalescer(|flights| flights.max_executions(1).max_queued(1));
        let users = users(|cache| limit(cache.refresh_ahead(0.5).jitter(0.0)));
        let (source, gate) = (Source::of(2), Gate::new());
        users.insert("ada", 1).await;
        advance(TTL * 3 / 4).await;
        let mut busy = Box::pin(users.get("busy", source.load_behind(&gate)));
        assert!(poll!(&mut busy).is_pending());
        assert_eq!(users.get("ada", no_load).await, Ok(1));
        settle().await;
        // There is room for one: the refresh is given up, though it came before.
        let mut read = Box::pin(users.get("bob", source.load()));
        assert!(poll!(&mut read).is_pending());
        settle().await;
        gate.open();
        assert_eq!((busy.await, read.await), (Ok(2), Ok(2)));
        settle().await;
        assert_eq!(users.peek("ada"), Some(1));
        assert_eq!(source.loads.get(), 2);
    })
    .await;
}
