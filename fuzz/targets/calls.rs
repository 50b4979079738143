//! Schedules of calls through the public API: `cargo +nightly fuzz run calls`, from the repository's root.
//!
//! The tests replay the corpus, and so does a stable compiler; this is for finding more of it. A finding is put into
//! `corpus/calls` under a name that tells what it is about.

#![no_main]

#[path = "../../tests/behaviour/schedules/mod.rs"]
mod schedules;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| schedules::play(bytes));
