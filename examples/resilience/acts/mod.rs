//! What is shown, act by act.

mod budget;
mod failures;
mod open;
mod recovery;
mod slow;
mod switch;

use std::time::Duration;

use tokio::time::timeout;

use crate::Fallible;

const ACT_LIMIT: Duration = Duration::from_mins(1);

/// Callers of most acts.
const CALLERS: u32 = 1_000;
const KEYS: u32 = 200;
const PER_KEY: u32 = CALLERS / KEYS;

pub(crate) async fn run() -> Fallible<()> {
    act("One failed call is one failure", failures::run()).await?;
    act("An open breaker, and its probe", open::run()).await?;
    act("A budget for retries", budget::run()).await?;
    act("A slow backend", slow::run()).await?;
    act("Coalescing on or off while the backend fails", switch::run()).await?;
    act("An outage from begin to end", recovery::run()).await
}

async fn act(title: &str, run: impl Future<Output = Fallible<()>>) -> Fallible<()> {
    println!("\n== {title} ==");
    match timeout(ACT_LIMIT, run).await {
        Ok(result) => result.map_err(|error| format!("{title}: {error}").into()),
        Err(_) => Err(format!("{title}: didn't end within {ACT_LIMIT:?}").into()),
    }
}
