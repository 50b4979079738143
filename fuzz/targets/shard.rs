//! One shard's life: `cargo +nightly fuzz run shard`, from the repository's root.
//!
//! The bytes choose among the moves that are possible, and the model judges each of them; see `src/shard/model/`. The
//! tests replay the corpus.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| shardflight::fuzzing::shard(bytes));
