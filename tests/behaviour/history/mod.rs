//! Random schedules of real callers on several threads, checked afterwards from the log of what they saw.
//!
//! Callers join in every way there is, leave at any point, park, are aborted, forget; their work is ready or slow, joins
//! others, returns, fails, panics or never ends; flights expire, caps are hit, executions wait for each other in a queue, the
//! coalescer is shut down or loses its runtime. Every call and every execution is logged with the ticks of one clock at
//! which it began and ended. The checker knows nothing of shards: it decides from the log alone whether the guarantees held
//! (G1, G2, G3, G5, G7 to G12). Callers have priorities, but which flight had to begin first no log can tell.
//!
//! There are two drives. Short scripts come from proptest, which shrinks those that fail; `PROPTEST_CASES` says how many.
//! Longer rounds come from seeds: a few of them in every test run, more for as long as
//!
//! ```text
//! SHARDFLIGHT_HISTORY_SECONDS=600 cargo test --release --test behaviour history -- --nocapture
//! ```
//!
//! says, with a line of progress every ten seconds. What fails names its seed, the guarantee, and the entries of the log
//! that show it. A seed decides what is done, not how the threads take turns, so playing one again means playing it
//! many times:
//!
//! ```text
//! SHARDFLIGHT_HISTORY_SEED=17 cargo test --test behaviour history::rounds -- --nocapture
//! ```

mod callers;
mod checker;
mod load;
mod log;
mod plan;
mod record;
mod rounds;
mod scripts;
mod seeds;
