//! The work of the calls.

use std::{panic::resume_unwind, time::Duration};

use shardflight::JoinError;
use tokio::time::sleep;

use crate::{
    fleet::{DEADLINE, Flights},
    payload::{Answered, Failure, Payload},
};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    Ready {
        size: usize,
    },
    Sleeps {
        milliseconds: u64,
        size: usize,
    },
    Fails,
    Panics,
    PanicsInItsClosure,
    /// Runs longer than the flight's deadline.
    ExceedsDeadline,
    /// Joins another key, and possibly its own.
    Joins {
        key: u64,
    },
}

impl Work {
    pub(crate) fn any(random: &mut fastrand::Rng) -> Self {
        let size = 1 << random.u32(4..11);
        match random.u32(0..100) {
            0..30 => Self::Ready { size },
            30..80 => Self::Sleeps { milliseconds: random.u64(1..10), size },
            80..87 => Self::Fails,
            87..90 => Self::Panics,
            90..92 => Self::PanicsInItsClosure,
            92..94 => Self::ExceedsDeadline,
            _ => Self::Joins { key: random.u64(0..HOT_KEYS) },
        }
    }

    /// Runs the closure's part, and returns the future.
    pub(crate) fn run(self, handle: Flights) -> impl Future<Output = Answered> + Send + 'static {
        if let Self::PanicsInItsClosure = self {
            panic_quietly();
        }
        async move {
            match self {
                Self::Ready { size } => Ok(Payload::new(size)),
                Self::Sleeps { milliseconds, size } => {
                    let payload = Payload::new(size);
                    sleep(Duration::from_millis(milliseconds)).await;
                    Ok(payload)
                }
                Self::Fails => Err(Failure::Itself),
                Self::Panics | Self::PanicsInItsClosure => panic_quietly(),
                Self::ExceedsDeadline => {
                    let payload = Payload::new(64);
                    sleep(2 * DEADLINE).await;
                    Ok(payload)
                }
                Self::Joins { key } => {
                    let joined = handle.join(key, || async { Ok(Payload::new(64)) }).await;
                    joined.unwrap_or_else(|error| match error {
                        JoinError::Reentrant => Err(Failure::Reentrant),
                        _ => Err(Failure::Other),
                    })
                }
            }
        }
    }
}

/// Few keys, so that callers often share flights.
pub(crate) const HOT_KEYS: u64 = 16;

/// Panics without a message on stderr.
fn panic_quietly() -> ! {
    resume_unwind(Box::new("a panic of the work's"))
}
