//! What surrounds a call, and what of it reaches the body.

use shardflight::coalesce;
use tokio::{task::yield_now, task_local};

use crate::support::limited;

task_local! {
    static LANGUAGE: &'static str;
}

#[tokio::test]
async fn a_body_sees_no_callers_task_locals() {
    #[coalesce]
    async fn read(_id: u32) -> Result<&'static str, String> {
        yield_now().await;
        LANGUAGE.try_with(|language| *language).map_err(|error| error.to_string())
    }

    let (one, other) =
        limited(async { tokio::join!(LANGUAGE.scope("en", read(7)), LANGUAGE.scope("fr", read(7))) }).await;
    let alone = limited(LANGUAGE.scope("en", read(7))).await;
    assert!(one.is_err() && other.is_err() && alone.is_err(), "{one:?}, {other:?}, {alone:?}");
}

#[tokio::test]
async fn an_argument_carries_context_into_a_body() {
    async fn greet(id: u32) -> String {
        greet_in(id, LANGUAGE.get()).await
    }
    #[coalesce]
    async fn greet_in(id: u32, language: &'static str) -> String {
        LANGUAGE.scope(language, async { write(id).await }).await
    }
    async fn write(id: u32) -> String {
        yield_now().await;
        format!("{id} {}", LANGUAGE.get())
    }

    let (one, same, other) = limited(async {
        tokio::join!(LANGUAGE.scope("en", greet(7)), LANGUAGE.scope("en", greet(7)), LANGUAGE.scope("fr", greet(7)))
    })
    .await;
    assert_eq!((&*one, &*same, &*other), ("7 en", "7 en", "7 fr"));
    assert_eq!(greet_in_stats().await.executions, 2, "the language is in the key");
}

#[tokio::test]
async fn a_skipped_context_is_the_leaders() {
    #[coalesce(skip(language))]
    async fn greet_in(id: u32, language: &'static str) -> String {
        LANGUAGE
            .scope(language, async {
                yield_now().await;
                format!("{id} {}", LANGUAGE.get())
            })
            .await
    }

    let both = limited(async { tokio::join!(greet_in(7, "en"), greet_in(7, "fr")) }).await;
    assert_eq!(both, ("7 en".to_string(), "7 en".to_string()));
}
