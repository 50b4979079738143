//! Schedules of calls, made of bytes, played on a real coalescer and held against a reference step by step.
//!
//! One thread and a clock that stands still make a schedule the same each time: which caller polled, left or was parked
//! when, which work ended when, is the bytes' to say. So the reference knows each answer and each number exactly.
//!
//! Shared with the fuzz target `calls`, whose corpus the tests replay.

mod oracle;
mod player;
mod steps;
#[cfg(test)]
mod tests;
mod world;

use tokio::runtime;

use self::{player::Player, steps::decode};

/// Plays one schedule, and panics with the step at which the coalescer did something else than the reference.
pub(crate) fn play(bytes: &[u8]) {
    let (options, steps) = decode(bytes);
    let runtime = runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let log = runtime.block_on(async {
        let mut player = Player::new(options);
        for (number, step) in steps.iter().enumerate() {
            player.take(number, step).await;
        }
        player.finish().await
    });
    drop(runtime);
    log.assert_nothing_is_left();
}

/// The schedule in words, for debugging a finding.
#[cfg(test)]
pub(crate) fn describe(bytes: &[u8]) -> String {
    let (options, steps) = decode(bytes);
    let steps = steps.iter().enumerate().map(|(number, step)| format!("{number}: {step:?}\n"));
    format!("{options:?}\n{}", steps.collect::<String>())
}
