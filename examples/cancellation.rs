//! Callers that leave don't hurt those that stay: `cargo run --example cancellation`.

use std::{error::Error, time::Duration};

use shardflight::{Coalescer, OnAbandon};
use tokio::time::{sleep, timeout};

const WORK: Duration = Duration::from_millis(300);
const WAIT_LIMIT: Duration = Duration::from_millis(100);

async fn load(name: &'static str) -> &'static str {
    let _guard = PrintsDrop(name);
    sleep(WORK).await;
    name
}

/// Prints when the work's future is dropped, so that an abort can be seen.
struct PrintsDrop(&'static str);

impl Drop for PrintsDrop {
    fn drop(&mut self) {
        println!("  the work of {} was dropped", self.0);
    }
}

async fn leader_gives_up() -> Result<(), Box<dyn Error>> {
    println!("The leader gives up, its followers do not:");
    let handle = Coalescer::<u64, &str>::new().handle();
    let leader = timeout(WAIT_LIMIT, handle.join(1_u64, || load("the leader")));
    let followers = async {
        // `join!` polls the leader first; the yield makes that order explicit.
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

async fn all_leave() -> Result<(), Box<dyn Error>> {
    println!("All callers leave, under OnAbandon::Abort:");
    let coalescer = Coalescer::<u64, &str>::builder().on_abandon(OnAbandon::Abort).build()?;
    let handle = coalescer.handle();
    let (first, second) = tokio::join!(
        timeout(WAIT_LIMIT, handle.join(2_u64, || load("the callers that left"))),
        timeout(WAIT_LIMIT, handle.join(2_u64, || load("the callers that left"))),
    );
    assert!(first.is_err() && second.is_err());
    // Stats are read after all earlier messages, so they count the departures.
    let stats = handle.stats().await?;
    println!("  aborts {}, flights left {}", stats.aborts, stats.flights);
    let again = handle.join(2_u64, || load("the next caller")).await?;
    println!("  the next caller got {again:?}");
    Ok(())
}

// The clock goes on only when all tasks wait, so the order of the timers is certain.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn Error>> {
    leader_gives_up().await?;
    all_leave().await
}
