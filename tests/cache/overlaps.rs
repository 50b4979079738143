//! Loads that find, when they begin, what was written after they were asked for.

use futures::poll;
use shardflight::cache::{Fill, Lookup};

use crate::support::{Gate, Source, TICK, TTL, advance, in_tasks, limited, no_load, settle, users};

#[tokio::test(start_paused = true)]
async fn a_load_that_finds_its_key_filled_calls_no_loader() {
    limited(async {
        let users = users(|cache| in_tasks(cache.refresh_ahead(0.5)));
        // The second one is due for a refresh as soon as it is there.
        for fill in [Fill::new(8), Fill::new(9).ttl(TICK)] {
            let mut read = Box::pin(users.lookup("ada", no_load));
            assert!(poll!(&mut read).is_pending());
            users.insert("ada", fill.clone()).await;
            let served = read.await.unwrap();
            assert_eq!((served.value.ok(), served.state), (users.peek("ada"), Lookup::Fresh));
            users.invalidate("ada").await;
        }
        assert_eq!(users.stats().loads, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_load_that_finds_a_kept_error_says_so() {
    limited(async {
        let users = users(|cache| in_tasks(cache.negative_ttl(TTL)));
        let mut read = Box::pin(users.lookup("ada", no_load));
        assert!(poll!(&mut read).is_pending());
        users.insert("ada", Fill::negative("gone".to_owned())).await;
        let served = read.await.unwrap();
        assert_eq!((served.value, served.state), (Err("gone".to_owned()), Lookup::Negative));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refresh_of_what_was_replaced_before_it_began_calls_no_loader() {
    limited(async {
        let users = users(|cache| cache.refresh_ahead(0.5));
        for newer in [Fill::new(8), Fill::new(9).ttl(TICK)] {
            users.insert("ada", 7).await;
            advance(TTL / 2).await;
            assert_eq!(users.get("ada", no_load).await, Ok(7));
            users.insert("ada", newer).await;
            settle().await;
            assert!(users.peek("ada") > Some(7));
        }
        assert_eq!((users.stats().refreshes, users.stats().loads), (2, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_explicit_refresh_loads_whatever_it_finds() {
    limited(async {
        let (users, source) = (users(in_tasks), Source::of(9));
        let mut refresh = Box::pin(users.refresh("ada", source.load()));
        assert!(poll!(&mut refresh).is_pending());
        users.insert("ada", 8).await;
        assert_eq!((refresh.await, users.peek("ada")), (Ok(9), Some(9)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn of_loads_that_run_beside_each_other_the_one_that_began_last_stays() {
    limited(async {
        // Not coalesced: each read has a load of its own.
        let users = users(|cache| cache.coalescer(|flights| flights.rollout(0.0)));
        let source = Source::of(0);
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]] {
            let (gates, mut reads) = ([Gate::new(), Gate::new(), Gate::new()], Vec::new());
            for (value, gate) in gates.iter().enumerate() {
                source.set(value as u64);
                reads.push(Box::pin(users.get("ada", source.load_behind(gate))));
                assert!(poll!(reads.last_mut().unwrap()).is_pending());
            }
            let mut latest = 0;
            for ended in order {
                gates[ended].open();
                assert_eq!((&mut reads[ended]).await, Ok(ended as u64));
                latest = latest.max(ended as u64);
                assert_eq!(users.peek("ada"), Some(latest), "{order:?}");
            }
            users.invalidate("ada").await;
        }
        assert_eq!(users.stats().rejected_fills, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn of_loads_that_run_beside_each_other_those_of_before_a_write_are_not_kept() {
    limited(async {
        let users = users(|cache| cache.coalescer(|flights| flights.rollout(0.0)));
        for write in [Write::Invalidate, Write::InvalidateAll, Write::Insert, Write::Expire] {
            let (source, gates) = (Source::of(7), [Gate::new(), Gate::new(), Gate::new()]);
            let mut old = [&gates[0], &gates[1]].map(|gate| Box::pin(users.get("ada", source.load_behind(gate))));
            assert!(poll!(&mut old[0]).is_pending() && poll!(&mut old[1]).is_pending());
            match write {
                Write::Invalidate => users.invalidate("ada").await,
                Write::InvalidateAll => users.invalidate_all().await,
                Write::Insert => users.insert("ada", 9).await,
                Write::Expire => users.expire("ada").await,
            }
            let written = users.peek("ada");
            for (old, gate) in old.iter_mut().zip(&gates) {
                gate.open();
                assert_eq!(old.await, Ok(7));
                assert_eq!(users.peek("ada"), written, "{write:?}");
            }
            users.invalidate("ada").await;
        }
    })
    .await;
}

#[derive(Debug)]
enum Write {
    Invalidate,
    InvalidateAll,
    Insert,
    Expire,
}
