//! A thousand callers of a decorated function, one execution: `cargo run --example decorator --features macros`.

use std::{error::Error, fmt, time::Duration};

use futures::future::{join_all, try_join_all};
use shardflight::{JoinError, coalesce};

#[derive(Clone, Debug)]
enum LoadError {
    NoSuchUser(u64),
    NoAnswer(JoinError),
}

impl From<JoinError> for LoadError {
    fn from(error: JoinError) -> Self {
        Self::NoAnswer(error)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchUser(id) => write!(f, "there is no user {id}"),
            Self::NoAnswer(error) => error.fmt(f),
        }
    }
}

impl Error for LoadError {}

/// A user's number means another user in another tenant; the trace is for the log alone.
#[coalesce(skip(trace))]
async fn load_user(tenant: &str, id: u64, trace: u64) -> Result<String, LoadError> {
    // Stands in for a slow database.
    tokio::time::sleep(Duration::from_millis(200)).await;
    println!("loaded user {id} of {tenant} (trace {trace})");
    if id == 0 { Err(LoadError::NoSuchUser(id)) } else { Ok(format!("user {id} of {tenant}")) }
}

// On one thread, so that no work ends before all callers have asked.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let users = try_join_all((0..1_000).map(|trace| load_user("acme", 7, trace))).await?;
    assert!(users.iter().all(|user| user == "user 7 of acme"));
    let one_user = load_user_stats().await;
    println!("one user:  callers {}, executions {}", users.len(), one_user.executions);
    assert_eq!(one_user.executions, 1);

    let users = try_join_all((0..1_000).map(|trace| load_user("acme", 1 + trace % 10, trace))).await?;
    let ten_users = load_user_stats().await;
    println!("ten users: callers {}, executions {}", users.len(), ten_users.executions - one_user.executions);
    assert_eq!(ten_users.executions, 11);

    let errors = join_all((0..1_000).map(|trace| load_user("acme", 0, trace))).await;
    let failed = errors.iter().filter(|answer| matches!(answer, Err(LoadError::NoSuchUser(0)))).count();
    let no_user = load_user_stats().await;
    println!("no user:   callers {failed}, executions {}", no_user.executions - ten_users.executions);
    assert_eq!((failed, no_user.executions), (1_000, 12));
    Ok(())
}
