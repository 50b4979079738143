//! A thousand callers, one execution: `cargo run --example quickstart`.

use std::{error::Error, time::Duration};

use futures::future::try_join_all;
use shardflight::Coalescer;

async fn load_user() -> String {
    // Stands in for a slow database.
    tokio::time::sleep(Duration::from_millis(200)).await;
    "user 7".to_string()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let handle = Coalescer::<String, String>::new().handle();
    let answers = try_join_all((0..1_000).map(|_| handle.join("user:7", load_user))).await?;
    assert!(answers.iter().all(|answer| answer == "user 7"));
    println!("callers {}, executions {}", answers.len(), handle.stats().await?.executions);
    Ok(())
}
