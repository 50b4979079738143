//! What `inspect` shows of single flights.

use std::{future::pending, time::Duration};

use shardflight::Coalescer;
use tokio::time::advance;

use crate::support::{assert_pending, limited, one_shard, panic_quietly, returning};

#[tokio::test(start_paused = true)]
async fn the_most_crowded_and_the_oldest_come_first() {
    limited(async {
        let builder = Coalescer::<i32, i32>::builder().shards(4).describe(|key| format!("number {key}"));
        let coalescer = builder.build().unwrap();
        let handle = coalescer.handle();
        let mut callers = Vec::new();
        for key in 0..20 {
            callers.extend((0..=key).map(|_| handle.join(key, pending)));
            callers.iter_mut().for_each(assert_pending);
            handle.stats().await.unwrap();
            advance(Duration::from_secs(1)).await;
        }
        let seen = coalescer.inspect(3).await.unwrap();
        let crowded: Vec<_> =
            seen.crowded.iter().map(|flight| (flight.description.as_deref().unwrap(), flight.waiters)).collect();
        assert_eq!(crowded, [("number 19", 20), ("number 18", 19), ("number 17", 18)]);
        let oldest: Vec<_> =
            seen.oldest.iter().map(|flight| (flight.description.as_deref().unwrap(), flight.age.as_secs())).collect();
        assert_eq!(oldest, [("number 0", 20), ("number 1", 19), ("number 2", 18)]);
        let all = handle.inspect(usize::MAX).await.unwrap();
        assert_eq!((all.crowded.len(), all.oldest.len()), (20, 20));
        let stats = handle.stats().await.unwrap();
        for (number, shard) in stats.per_shard().iter().enumerate() {
            assert_eq!(all.oldest.iter().filter(|flight| flight.shard == number).count(), shard.flights);
        }
        let none = handle.inspect(0).await.unwrap();
        assert!(none.crowded.is_empty() && none.oldest.is_empty());
    })
    .await;
}

#[tokio::test]
async fn keys_are_not_shown_unless_described() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let mut caller = handle.join(1, pending);
        assert_pending(&mut caller);
        let seen = handle.inspect(1).await.unwrap();
        assert!(seen.crowded[0].description.is_none() && seen.oldest[0].description.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_description_that_panics_is_none() {
    limited(async {
        let describe = |key: &i32| if *key == 1 { panic_quietly("indescribable") } else { key.to_string() };
        let handle = Coalescer::<i32, i32>::builder().shards(1).describe(describe).build().unwrap().handle();
        let mut callers = [handle.join(1, pending), handle.join(2, pending)];
        callers.iter_mut().for_each(assert_pending);
        let seen = handle.inspect(2).await.unwrap();
        let descriptions: Vec<_> = seen.oldest.iter().map(|flight| flight.description.as_deref()).collect();
        assert_eq!(descriptions, [None, Some("2")]);
        assert_eq!(handle.join(3, returning(7)).await.unwrap(), 7);
    })
    .await;
}
