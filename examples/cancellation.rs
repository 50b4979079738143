//! Leaving hurts nobody who stays: `cargo run --example cancellation`.

use std::{error::Error, time::Duration};

use shardflight::{Coalescer, OnAbandon};
use tokio::time::{sleep, timeout};

const WORK: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_millis(100);

async fn load(name: &'static str) -> &'static str {
    let _guard = Witness(name);
    sleep(WORK).await;
    name
}

/// Tells when the work's future goes, so that an abort can be seen.
struct Witness(&'static str);

impl Drop for Witness {
    fn drop(&mut self) {
        println!("  the work of {} is over", self.0);
    }
}

async fn leader_gives_up() -> Result<(), Box<dyn Error>> {
    println!("The leader gives up, its followers do not:");
    let handle = Coalescer::<u64, &str>::new().handle();
    let leader = timeout(PATIENCE, handle.join(1_u64, || load("the leader")));
    let followers = async {
        // `join!` polls the leader first; a yield more keeps the order plain to the reader.
        tokio::task::yield_now().await;
        tokio::join!(handle.join(1_u64, || load("a follower")), handle.join(1_u64, || load("a follower")))
    };
    let (leader, (first, second)) = tokio::join!(leader, followers);
    println!("  leader {leader:?}, followers {first:?} and {second:?}");
    println!("  executions {}, departures {}", handle.stats().await?.executions, handle.stats().await?.departures);
    assert!(leader.is_err());
    assert_eq!((first?, second?), ("the leader", "the leader"));
    Ok(())
}

async fn last_one_out() -> Result<(), Box<dyn Error>> {
    println!("Everybody leaves, under OnAbandon::Abort:");
    let coalescer = Coalescer::<u64, &str>::builder().on_abandon(OnAbandon::Abort).build()?;
    let handle = coalescer.handle();
    let (first, second) = tokio::join!(
        timeout(PATIENCE, handle.join(2_u64, || load("nobody"))),
        timeout(PATIENCE, handle.join(2_u64, || load("nobody"))),
    );
    assert!(first.is_err() && second.is_err());
    // Stats wait for what was sent before them, so the departures are counted here.
    let stats = handle.stats().await?;
    println!("  aborts {}, flights left {}", stats.aborts, stats.flights);
    let again = handle.join(2_u64, || load("a fresh start")).await?;
    println!("  the next caller got {again:?}");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    leader_gives_up().await?;
    last_one_out().await
}
