//! Invalidation by tag.

use futures::{future::join_all, poll};
use shardflight::{
    TryJoinError,
    cache::{Fill, Previous},
};

use crate::support::{Gate, Loading, Source, TTL, UsersHandle, advance, in_tasks, limited, no_load, settle, users};

/// A loader that reads at once, and says its tags when the gate is open.
fn tagged(
    source: &Source,
    gate: &Gate,
    tag: &'static str,
) -> impl FnOnce(Option<Previous<u64>>) -> Loading<Fill<u64, String>> + Send + 'static + use<> {
    let load = source.load_behind(gate);
    move |_| Box::pin(async move { Ok(Fill::new(load().await?).tag(tag)) })
}

fn open() -> Gate {
    let gate = Gate::new();
    gate.open();
    gate
}

#[tokio::test(start_paused = true)]
async fn all_with_the_tag_are_gone_and_no_others() {
    limited(async {
        let users = users(|cache| cache.stale_while_revalidate(TTL).stale_if_error(TTL));
        users.insert("ada", Fill::new(7).tag("red").tag("blue")).await;
        users.insert("bob", Fill::new(8).tag("blue")).await;
        users.insert("eve", 9).await;
        users.invalidate_tag("red").await;
        assert_eq!([users.peek("ada"), users.peek("bob"), users.peek("eve")], [None, Some(8), Some(9)]);
        users.insert("ada", Fill::new(7).tag("red").tag("green")).await;
        users.invalidate_tag("green").await;
        assert_eq!(users.peek("ada"), None, "any of its tags counts");
        users.insert("ada", Fill::new(7).tag("red")).await;
        assert_eq!(users.peek("ada"), Some(7));
        users.invalidate_tag("blue").await;
        assert_eq!([users.peek("ada"), users.peek("bob")], [Some(7), None]);
        // Nor is it a fallback for a failure.
        let source = Source::of(1);
        assert!(users.get("bob", source.fail()).await.is_err());
        advance(TTL).await;
        users.invalidate_tag("red").await;
        assert!(users.get("ada", source.fail()).await.is_err());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_is_known_only_at_the_end_of_a_load_counts() {
    limited(async {
        let (users, source, gate) = (users(|cache| cache), Source::of(7), Gate::new());
        let mut before = Box::pin(users.get_with("ada", tagged(&source, &gate, "red")));
        assert!(poll!(&mut before).is_pending());
        settle().await;
        source.set(8);
        users.invalidate_tag("red").await;
        let mut after = Box::pin(users.get_with("ada", tagged(&source, &open(), "red")));
        assert!(poll!(&mut after).is_pending());
        gate.open();
        assert_eq!(before.await, Ok(7));
        assert_eq!(after.await, Ok(8), "it began after the invalidation");
        assert_eq!(users.get("ada", no_load).await, Ok(8));
        assert_eq!((source.loads.get(), users.stats().rejected_fills), (2, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refresh_shares_no_load_of_before_a_tags_invalidation() {
    limited(async {
        let (users, source, gate) = (users(|cache| cache), Source::of(7), Gate::new());
        let mut before = Box::pin(users.get_with("ada", tagged(&source, &gate, "red")));
        assert!(poll!(&mut before).is_pending());
        settle().await;
        source.set(8);
        users.invalidate_tag("red").await;
        let mut refresh = Box::pin(users.refresh("ada", source.load()));
        assert!(poll!(&mut refresh).is_pending());
        settle().await;
        gate.open();
        assert_eq!((before.await, refresh.await), (Ok(7), Ok(8)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_error_of_before_a_tags_invalidation_is_not_shared_after_it() {
    limited(async {
        let (users, source, gate) = (users(|cache| cache), Source::of(8), Gate::new());
        let passed = gate.pass();
        let mut before = Box::pin(users.get("ada", || async {
            passed.await;
            Err("not there yet".to_owned())
        }));
        assert!(poll!(&mut before).is_pending());
        settle().await;
        users.invalidate_tag("red").await;
        let mut after = Box::pin(users.get("ada", source.load()));
        assert!(poll!(&mut after).is_pending());
        gate.open();
        assert!(before.await.is_err());
        assert_eq!(after.await, Ok(8));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn loads_of_other_tags_are_shared_on() {
    limited(async {
        let (users, source, gate) = (users(|cache| cache), Source::of(7), Gate::new());
        let mut before = Box::pin(users.get_with("ada", tagged(&source, &gate, "blue")));
        assert!(poll!(&mut before).is_pending());
        settle().await;
        users.invalidate_tag("red").await;
        let mut after = Box::pin(users.get("ada", no_load));
        assert!(poll!(&mut after).is_pending());
        gate.open();
        assert_eq!((before.await, after.await), (Ok(7), Ok(7)));
        assert_eq!(users.get("ada", no_load).await, Ok(7));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_read_is_told_a_failure_whose_fallback_lost_its_tag() {
    limited(async {
        let (users, gate) = (users(|cache| cache.stale_if_error(TTL)), Gate::new());
        users.insert("ada", Fill::new(7).tag("red")).await;
        // So the entry is older than the read, as far as tags know.
        users.invalidate_tag("blue").await;
        advance(TTL).await;
        let fail = || {
            let passed = gate.pass();
            || async {
                passed.await;
                Err("out of order".to_owned())
            }
        };
        let mut read = Box::pin(users.get("ada", fail()));
        assert!(poll!(&mut read).is_pending());
        let mut refresh = Box::pin(users.refresh("ada", fail()));
        assert!(poll!(&mut refresh).is_pending());
        settle().await;
        gate.open();
        settle().await;
        // The load has failed, and its callers have not looked yet.
        users.invalidate_tag("red").await;
        let error = Err(TryJoinError::Work("out of order".to_owned()));
        assert_eq!((read.await, refresh.await), (error.clone(), error));
        assert_eq!((users.stats().loads, users.stats().fail_safe), (1, 0));
    })
    .await;
}

/// A loader in whose midst its own tag is invalidated, which it says at the end.
fn overtaken(
    users: &UsersHandle,
    source: &Source,
) -> impl FnOnce(Option<Previous<u64>>) -> Loading<Fill<u64, String>> + Send + 'static + use<> {
    let (users, load) = (users.clone(), source.load());
    move |previous| {
        Box::pin(async move {
            let fill = if previous.is_some() { Fill::not_modified() } else { Fill::new(load().await?).tag("red") };
            users.invalidate_tag("red").await;
            Ok(fill)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_invalidations_keeps_no_read_waiting() {
    limited(async {
        let (users, source, gate) = (users(in_tasks), Source::of(7), Gate::new());
        let mut first = Box::pin(users.get_with("ada", tagged(&source, &gate, "red")));
        assert!(poll!(&mut first).is_pending());
        settle().await;
        users.invalidate_tag("red").await;
        source.set(8);
        let mut reads: Vec<_> = (0..10).map(|_| Box::pin(users.get_with("ada", overtaken(&users, &source)))).collect();
        for read in &mut reads {
            assert!(poll!(read).is_pending());
        }
        gate.open();
        assert_eq!(first.await, Ok(7));
        for read in join_all(reads).await {
            assert_eq!(read, Ok(8), "its load began after the read, whatever was invalidated since");
        }
        assert_eq!((source.loads.get(), users.stats().loads, users.stats().entries), (2, 2, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_confirmed_while_its_tag_is_invalidated_is_returned_and_not_kept() {
    limited(async {
        let (users, source) = (users(|cache| cache), Source::of(8));
        users.insert("ada", Fill::new(7).tag("red")).await;
        users.invalidate_tag("blue").await;
        advance(TTL).await;
        assert_eq!(users.get_with("ada", overtaken(&users, &source)).await, Ok(7));
        assert_eq!((users.peek("ada"), users.stats().loads, users.stats().entries), (None, 1, 0));
        assert_eq!(users.get("ada", source.load()).await, Ok(8));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_value_may_get_other_tags() {
    limited(async {
        let users = users(|cache| cache);
        users.insert("ada", Fill::new(7).tag("red")).await;
        advance(TTL).await;
        let confirm = |_| async { Ok(Fill::not_modified().tag("blue")) };
        assert_eq!(users.get_with("ada", confirm).await, Ok(7));
        users.invalidate_tag("red").await;
        assert_eq!(users.peek("ada"), Some(7));
        users.invalidate_tag("blue").await;
        assert_eq!(users.peek("ada"), None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_negative_entry_has_tags_too() {
    limited(async {
        let users = users(|cache| cache.negative_ttl(TTL));
        users.insert("ada", Fill::negative("gone".to_owned()).tag("red")).await;
        assert!(users.get("ada", no_load).await.is_err());
        users.invalidate_tag("red").await;
        assert_eq!(users.get("ada", Source::of(7).load()).await, Ok(7));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn any_number_of_tags_may_be_invalidated() {
    limited(async {
        let users = users(|cache| cache);
        users.insert("ada", Fill::new(7).tag("red")).await;
        for tag in 0..1_000 {
            users.invalidate_tag(&tag.to_string()).await;
        }
        // One of 16 by bad luck; what is sure is that it is loaded again.
        let source = Source::of(7);
        assert_eq!(users.get("ada", source.load()).await, Ok(7));
        users.insert("ada", Fill::new(8).tag("red")).await;
        assert_eq!(users.peek("ada"), Some(8));
    })
    .await;
}
