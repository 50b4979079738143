//! C1: once an invalidation has returned, no read returns anything that was loaded before.

use std::time::Duration;

use futures::poll;
use shardflight::OnExpiry;

use crate::support::{Gate, Source, TTL, UsersHandle, advance, limited, no_load, settle, users};

/// Every way to make a value old, given what the newest one is.
#[derive(Clone, Copy, Debug)]
enum Write {
    Invalidate,
    InvalidateAll,
    Insert,
    Expire,
}

const WRITES: [Write; 4] = [Write::Invalidate, Write::InvalidateAll, Write::Insert, Write::Expire];

impl Write {
    async fn apply(self, users: &UsersHandle, newest: u64) {
        match self {
            Self::Invalidate => users.invalidate("ada").await,
            Self::InvalidateAll => users.invalidate_all().await,
            Self::Insert => users.insert("ada", newest).await,
            Self::Expire => users.expire("ada").await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_gone_after_a_write() {
    for write in WRITES {
        limited(async {
            let (users, source) = (users(|cache| cache), Source::of(7));
            assert_eq!(users.get("ada", source.load()).await, Ok(7));
            source.set(8);
            write.apply(&users, 8).await;
            assert_eq!(users.get("ada", source.load()).await, Ok(8), "{write:?}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_was_under_way_is_neither_joined_nor_kept_after_a_write() {
    for write in WRITES {
        limited(async {
            let (users, source, gate) = (users(|cache| cache), Source::of(7), Gate::new());
            let mut old = Box::pin(users.get("ada", source.load_behind(&gate)));
            assert!(poll!(&mut old).is_pending());
            settle().await;
            assert_eq!(source.loads.get(), 1);
            source.set(8);
            write.apply(&users, 8).await;
            assert_eq!(users.get("ada", source.load()).await, Ok(8), "{write:?}");
            gate.open();
            // It began before the write.
            assert_eq!(old.await, Ok(7));
            settle().await;
            assert_eq!(users.get("ada", no_load).await, Ok(8), "{write:?}");
            assert_eq!(users.stats().rejected_fills, 1, "{write:?}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_ends_after_a_write_leaves_nothing_behind() {
    for write in [Write::Invalidate, Write::InvalidateAll, Write::Expire] {
        limited(async {
            let (users, source, gate) = (users(|cache| cache), Source::of(7), Gate::new());
            let mut old = Box::pin(users.get("ada", source.load_behind(&gate)));
            assert!(poll!(&mut old).is_pending());
            settle().await;
            write.apply(&users, 8).await;
            gate.open();
            assert_eq!(old.await, Ok(7));
            assert_eq!((users.stats().entries, users.peek("ada")), (0, None), "{write:?}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_was_under_way_is_not_kept_after_a_write() {
    for write in WRITES {
        limited(async {
            let (users, source, gate) = (users(|cache| cache), Source::of(7), Gate::new());
            assert_eq!(users.get("ada", source.load()).await, Ok(7));
            let mut refresh = Box::pin(users.refresh("ada", source.load_behind(&gate)));
            assert!(poll!(&mut refresh).is_pending());
            settle().await;
            assert_eq!(source.loads.get(), 2);
            source.set(8);
            write.apply(&users, 8).await;
            gate.open();
            assert_eq!(refresh.await, Ok(7));
            assert_eq!(users.get("ada", source.load()).await, Ok(8), "{write:?}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_outlives_its_deadline_gives_way_to_the_next() {
    limited(async {
        let deadline = Duration::from_secs(1);
        let users =
            users(|cache| cache.coalescer(|flights| flights.max_flight_duration(deadline).on_expiry(OnExpiry::Detach)));
        let (source, gate, next_gate) = (Source::of(7), Gate::new(), Gate::new());
        let mut late = Box::pin(users.get("ada", source.load_behind(&gate)));
        assert!(poll!(&mut late).is_pending());
        settle().await;
        advance(deadline).await;
        source.set(8);
        let mut next = Box::pin(users.get("ada", source.load_behind(&next_gate)));
        assert!(poll!(&mut next).is_pending());
        settle().await;
        assert_eq!(source.loads.get(), 2);
        gate.open();
        assert_eq!(late.await, Ok(7));
        assert_eq!(users.peek("ada"), Some(7), "until the next one ends");
        next_gate.open();
        assert_eq!(next.await, Ok(8));
        assert_eq!(users.get("ada", no_load).await, Ok(8));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn other_keys_stay() {
    limited(async {
        let users = users(|cache| cache);
        users.insert("ada", 7).await;
        users.insert("bob", 8).await;
        users.invalidate("ada").await;
        users.invalidate("absent").await;
        assert_eq!((users.peek("ada"), users.peek("bob")), (None, Some(8)));
        users.invalidate_all().await;
        assert_eq!(users.stats().entries, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_insert_has_a_ttl_of_its_own() {
    limited(async {
        let users = users(|cache| cache);
        users.insert("ada", 7).await;
        advance(TTL / 2).await;
        users.insert("ada", 8).await;
        advance(TTL / 2).await;
        assert_eq!(users.get("ada", no_load).await, Ok(8));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_load_of_before_an_insert_is_not_joined_even_when_the_inserted_value_has_expired() {
    limited(async {
        let (users, source, gate) = (users(|cache| cache), Source::of(7), Gate::new());
        let mut old = Box::pin(users.get("ada", source.load_behind(&gate)));
        assert!(poll!(&mut old).is_pending());
        settle().await;
        users.insert("ada", 8).await;
        advance(TTL).await;
        source.set(9);
        assert_eq!(users.get("ada", source.load()).await, Ok(9));
        gate.open();
        assert_eq!(old.await, Ok(7));
        assert_eq!(users.get("ada", no_load).await, Ok(9));
    })
    .await;
}
