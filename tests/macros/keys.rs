//! The key of a call.

use std::path::Path;

use shardflight::coalesce;

use crate::support::limited;

#[tokio::test]
async fn skipped_arguments_are_not_in_the_key() {
    #[coalesce(skip(trace_id))]
    async fn load(id: u32, trace_id: u32) -> u32 {
        tokio::task::yield_now().await;
        10 * id + trace_id
    }

    let (first, second) = limited(async { tokio::join!(load(7, 1), load(7, 2)) }).await;
    assert_eq!(first, 71, "it runs with what the first brought");
    assert_eq!(second, first);
}

#[tokio::test]
async fn a_key_expression_normalises() {
    #[coalesce(key = "user.trim().to_lowercase()")]
    async fn load(user: &str) -> String {
        tokio::task::yield_now().await;
        user.to_string()
    }

    let (first, second, other) = limited(async { tokio::join!(load(" Ada"), load("ada "), load("Bob")) }).await;
    assert_eq!((&*first, &*second, &*other), (" Ada", " Ada", "Bob"));
}

#[tokio::test]
async fn a_key_may_name_borrowed_arguments() {
    #[coalesce(key = "(tenant, user, page / 10)")]
    async fn load(tenant: &str, user: String, page: u32) -> u32 {
        tokio::task::yield_now().await;
        assert!(tenant.len() < user.len());
        page
    }
    #[coalesce(key = "tenant")]
    async fn count(tenant: &str, salt: u32) -> u32 {
        tokio::task::yield_now().await;
        salt + u32::from(tenant.is_empty())
    }

    let ada = || "Ada".to_string();
    let (first, same, other) =
        limited(async { tokio::join!(load("t", ada(), 1), load("t", ada(), 2), load("t", ada(), 11)) }).await;
    assert_eq!((first, same, other), (1, 1, 11));
    let (first, same, other) = limited(async { tokio::join!(count("t", 1), count("t", 2), count("u", 3)) }).await;
    assert_eq!((first, same, other), (1, 1, 3));
}

#[tokio::test]
async fn a_key_may_be_given_without_a_string() {
    #[coalesce(key = format!("{tenant}:{user}"))]
    async fn load(tenant: u32, user: &str) -> u32 {
        tenant + u32::from(user.is_empty())
    }

    assert_eq!(limited(load(1, "ada")).await, 1);
}

#[tokio::test]
async fn patterns_work_with_a_key() {
    struct Query<T>(T);
    impl<T: Clone> Clone for Query<T> {
        fn clone(&self) -> Self {
            Self(self.0.clone())
        }
    }

    #[coalesce(key = "(a + b, name.clone())")]
    async fn load(Query(name): Query<String>, &(a, b): &(u32, u32), _: u8, mut limit: u32) -> String {
        tokio::task::yield_now().await;
        limit += a * b;
        format!("{name} {limit}")
    }

    let ada = || Query("ada".to_string());
    let (first, same, other) = limited(async {
        tokio::join!(load(ada(), &(1, 4), 0, 1), load(ada(), &(2, 3), 0, 1), load(ada(), &(2, 2), 0, 1))
    })
    .await;
    assert_eq!((&*first, &*same, &*other), ("ada 5", "ada 5", "ada 5"));
    assert_eq!(load_stats().await.executions, 2);
}

#[tokio::test]
async fn borrowed_arguments_reach_the_body() {
    #[coalesce]
    async fn show(path: &Path, bytes: &[u8], text: &String, pair: &(u8, u8), fixed: &'static str) -> String {
        format!("{} {bytes:?} {text} {pair:?} {fixed}", path.display())
    }

    let shown = limited(show(Path::new("a/b"), &[1, 2], &"t".to_string(), &(3, 4), "f")).await;
    assert_eq!(shown, "a/b [1, 2] t (3, 4) f");
}

/// For keys with references in them, compilers failed to prove that an async function's future may be spawned.
#[tokio::test]
async fn calls_with_static_keys_may_be_spawned() {
    #[coalesce]
    async fn load(name: &'static str, more: Option<&'static [u8]>, call: fn(&str) -> usize) -> &'static str {
        assert_eq!(call(name), name.len() + more.map_or(0, <[u8]>::len));
        name
    }

    assert_eq!(limited(tokio::spawn(load("ada", None, str::len))).await.unwrap(), "ada");
}
