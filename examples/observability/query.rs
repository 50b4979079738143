//! Stands in for a slow database.

use std::{fmt, time::Duration};

use tokio::time::sleep;

/// Answers after a time that depends on the user. Some users don't exist, and one query takes too long.
pub(crate) async fn user(id: u64) -> Result<String, String> {
    if id == 42 {
        sleep(Duration::from_secs(5)).await;
    }
    sleep(Duration::from_millis(10 + id % 8 * 10)).await;
    if id % 13 == 5 { Err(format!("no user {id}")) } else { Ok(format!("user {id}")) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProfileError {
    Unknown,
    Unavailable,
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no such profile",
            Self::Unavailable => "the database is out of order",
        })
    }
}

/// Some profiles don't exist, one query in ten fails, and one in ten is slow.
pub(crate) async fn profile(id: u64) -> Result<String, ProfileError> {
    let luck = fastrand::u8(..10);
    sleep(Duration::from_millis(if luck == 0 { 100 } else { 10 + id % 8 })).await;
    match luck {
        1 => Err(ProfileError::Unavailable),
        _ if id % 13 == 5 => Err(ProfileError::Unknown),
        _ => Ok(format!("profile {id}")),
    }
}
