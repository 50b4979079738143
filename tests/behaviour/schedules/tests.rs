//! The corpus, and chance.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
};

use super::{describe, play};
use crate::support::{step, watched};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/calls");
const RANDOM_SCHEDULES: usize = 1_000;
const LONGEST: usize = 160;

/// Plays it, and if that goes wrong says what was played. The time limit is for each schedule.
fn try_out(name: &str, bytes: &[u8]) {
    step();
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| play(bytes))) {
        eprintln!("{name}:\n{}", describe(bytes));
        resume_unwind(panic);
    }
}

#[test]
fn the_corpus_of_call_schedules_holds() {
    watched(|| {
        let mut schedules = 0;
        for file in fs::read_dir(Path::new(CORPUS)).expect("the corpus is there") {
            let path = file.expect("a file of the corpus").path();
            try_out(&path.display().to_string(), &fs::read(&path).expect("a schedule"));
            schedules += 1;
        }
        assert!(schedules > 0, "an empty corpus");
    });
}

#[test]
fn random_call_schedules_hold() {
    watched(|| {
        for seed in 0..RANDOM_SCHEDULES {
            let mut random = fastrand::Rng::with_seed(seed as u64);
            let bytes: Vec<u8> = (0..random.usize(2..LONGEST)).map(|_| random.u8(..)).collect();
            try_out(&format!("seed {seed}"), &bytes);
        }
    });
}
