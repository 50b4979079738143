//! Invalidation by tag.

use futures::poll;
use shardflight::cache::{Fill, Previous};

use crate::support::{Gate, Loading, Source, TTL, advance, limited, no_load, settle, users};

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
        users.insert("ada", Fill::new(7).tag("red")).await;
        assert_eq!(users.peek("ada"), Some(7));
        users.invalidate_tag("blue").await;
        assert_eq!([users.peek("ada"), users.peek("bob")], [Some(7), None]);
        // It covers no failure either.
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
