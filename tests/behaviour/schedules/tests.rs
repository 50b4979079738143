//! The corpus, and chance. By themselves, as all tests of a process share a graph of waits: where another one's thread has it, a join is
//! told of its cycle some turns later than the player waits.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
};

use super::{describe, play};
use crate::support::{in_a_child_process, step, watched};

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

fn alone(test: &str, body: impl FnOnce() + Send + 'static) {
    in_a_child_process(&format!("schedules::tests::{test}"), async || watched(body));
}

#[test]
fn the_corpus_of_call_schedules_holds() {
    alone("the_corpus_of_call_schedules_holds", || {
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
    alone("random_call_schedules_hold", || {
        for seed in 0..RANDOM_SCHEDULES {
            let mut random = fastrand::Rng::with_seed(seed as u64);
            let bytes: Vec<u8> = (0..random.usize(2..LONGEST)).map(|_| random.u8(..)).collect();
            try_out(&format!("seed {seed}"), &bytes);
        }
    });
}
