//! Stands in for a slow database.

use std::time::Duration;

use tokio::time::sleep;

/// Answers after a time that depends on the user. Some users don't exist, and one query takes too long.
pub(crate) async fn user(id: u64) -> Result<String, String> {
    if id == 42 {
        sleep(Duration::from_secs(5)).await;
    }
    sleep(Duration::from_millis(10 + id % 8 * 10)).await;
    if id % 13 == 5 { Err(format!("no user {id}")) } else { Ok(format!("user {id}")) }
}
