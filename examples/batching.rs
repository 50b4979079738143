//! A page of posts that loads each post's author by itself: the N+1 problem, and the same code with a `Batcher`.
//!
//! `cargo run --features batch --example batching`

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use shardflight::batch::{Batch, Batcher};
use tokio::{sync::Semaphore, time::sleep};

/// A query takes five milliseconds, and there are eight connections.
struct Database {
    connections: Semaphore,
    queries: AtomicU64,
}

impl Database {
    /// SELECT … FROM users WHERE id = ANY($1)
    async fn users(&self, ids: &[u64]) -> Result<Vec<(u64, String)>, String> {
        let _connection = self.connections.acquire().await.map_err(|closed| closed.to_string())?;
        self.queries.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(5)).await;
        Ok(ids.iter().map(|id| (*id, format!("user {id}"))).collect())
    }
}

// On one thread, so that no batch begins before all keys are asked for.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let database = Arc::new(Database { connections: Semaphore::new(8), queries: AtomicU64::new(0) });
    // A hundred posts by fifty authors.
    let authors = || (0..100_u64).map(|post| post % 50);

    let began = Instant::now();
    let names = join_all(authors().map(|id| {
        let database = Arc::clone(&database);
        async move { database.users(&[id]).await.map(|users| users.len()) }
    }))
    .await;
    let one_by_one = database.queries.swap(0, Ordering::Relaxed);
    println!("one by one:   {} names, {one_by_one:3} queries, {:.0?}", names.len(), began.elapsed());

    let source = Arc::clone(&database);
    let users = Batcher::builder(move |ids: Batch<u64, String, String>| {
        let source = Arc::clone(&source);
        async move {
            for (id, name) in source.users(ids.keys()).await? {
                ids.fulfil(id, Ok(name));
            }
            Ok(())
        }
    })
    .build()?;
    let began = Instant::now();
    let names = join_all(authors().map(|id| users.load(id))).await;
    let batched = database.queries.load(Ordering::Relaxed);
    println!("with batches: {} names, {batched:3} queries, {:.0?}", names.len(), began.elapsed());

    for (author, name) in authors().zip(names) {
        assert_eq!(name, Ok(Some(format!("user {author}"))));
    }
    assert_eq!(one_by_one, 100);
    assert_eq!(batched, 1);
    Ok(())
}
