//! A token bucket.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Grants `rate` tokens a second, and holds as many.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    rate: f64,
    level: Mutex<Level>,
}

#[derive(Debug)]
struct Level {
    tokens: f64,
    filled: Instant,
}

impl TokenBucket {
    pub(crate) fn new(rate: u32) -> Self {
        let rate = f64::from(rate);
        Self { rate, level: Mutex::new(Level { tokens: rate, filled: Instant::now() }) }
    }

    pub(crate) fn take(&self) -> bool {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let gained = now.duration_since(level.filled).as_secs_f64() * self.rate;
        level.tokens = (level.tokens + gained).min(self.rate);
        level.filled = now;
        let granted = level.tokens >= 1.0;
        if granted {
            level.tokens -= 1.0;
        }
        granted
    }
}
