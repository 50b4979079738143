//! Whether memory grew by more than is allowed.
//!
//! Memory is compared at the ends of the rests, as it depends on the load at other times. The first fifth of the rests is
//! warm-up, in which pools, maps and the allocator reach their size. Of the others, the median of the last third may exceed that
//! of the first by a tenth, and in any case by a [`Floor`]. Medians ignore single outliers; a tenth is more than noise, and less
//! than a leak at thousands of calls a second; and the floor tolerates single pages in a small process.

use std::fmt;

use crate::{
    answer::Answer,
    sample::{Phase, Sample},
    soak::{Log, mebibytes},
};

const FEWEST_RESTS: usize = 6;
const WARM_UP: usize = 5;

/// Growth that is always allowed, in bytes.
#[derive(Clone, Copy, Debug)]
struct Floor(u64);

/// The allocator returns memory to the system when it sees fit.
const RESIDENT: Floor = Floor(8 << 20);
/// Live bytes are exact. The floor allows for idle maps of up to a thousand slots, which aren't shrunk and whose size depends on
/// chance.
const LIVE: Floor = Floor(1 << 20);

#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) failures: Vec<String>,
    notes: Vec<String>,
}

/// The result of a comparison, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Comparison {
    first: u64,
    last: u64,
    limit: u64,
}

impl Verdict {
    pub(crate) fn of(log: &Log) -> Self {
        let mut verdict = Self { failures: log.failures.clone(), notes: Vec::new() };
        let unknown = log.tally.of(Answer::Unknown);
        if unknown > 0 {
            verdict.failures.push(format!("{unknown} answers are of an unknown kind; the limit is 0"));
        }
        let rests: Vec<&Sample> = log.samples.iter().filter(|sample| sample.phase == Phase::EndOfRest).collect();
        let live: Vec<_> = rests.iter().map(|sample| sample.live).collect();
        verdict.compare("live memory", &live, LIVE);
        let resident: Option<Vec<_>> = rests.iter().map(|sample| sample.resident).collect();
        match resident {
            Some(resident) => verdict.compare("resident memory", &resident, RESIDENT),
            None => verdict.notes.push("resident memory: this system has no /proc to read it from".to_string()),
        }
        verdict
    }

    pub(crate) fn holds(&self) -> bool {
        self.failures.is_empty()
    }

    fn compare(&mut self, what: &str, rests: &[u64], floor: Floor) {
        let Some(Comparison { first, last, limit }) = compare(rests, floor) else {
            let rests = rests.len();
            self.failures.push(format!("{what}: there were {rests} rests; a comparison needs {FEWEST_RESTS}"));
            return;
        };
        let (first, last) = (mebibytes(first), mebibytes(last));
        let said =
            format!("{what} at rest: from {first:.2} MiB to {last:.2} MiB; the limit is {:.2} MiB", mebibytes(limit));
        if last > mebibytes(limit) { &mut self.failures } else { &mut self.notes }.push(said);
    }
}

/// `None` if there are too few rests for a comparison.
fn compare(rests: &[u64], floor: Floor) -> Option<Comparison> {
    if rests.len() < FEWEST_RESTS {
        return None;
    }
    let warm = &rests[rests.len().div_ceil(WARM_UP)..];
    let third = warm.len().div_ceil(3);
    let (first, last) = (median(&warm[..third]), median(&warm[warm.len() - third..]));
    Some(Comparison { first, last, limit: first + (first / 10).max(floor.0) })
}

/// The lower median.
fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() - 1) / 2]
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(f, "✓ {note}")?;
        }
        for failure in &self.failures {
            writeln!(f, "✗ {failure}")?;
        }
        writeln!(
            f,
            "Compared are medians of rests, without the first fifth: pools, maps and the allocator reach their size in it, and the \
             curves rise."
        )?;
        f.write_str(if self.holds() {
            "Memory stayed within its limits, and nothing was left at any rest."
        } else {
            "The soak FAILED."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEBIBYTE: u64 = 1 << 20;

    fn grew(rests: &[u64], floor: Floor) -> bool {
        let Comparison { last, limit, .. } = compare(rests, floor).unwrap();
        last > limit
    }

    #[test]
    fn memory_that_stays_holds() {
        assert!(!grew(&[40 * MEBIBYTE; 12], RESIDENT));
    }

    #[test]
    fn growth_during_warm_up_holds() {
        let rests = [1, 20, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40].map(|mebibytes| mebibytes * MEBIBYTE);
        assert!(!grew(&rests, RESIDENT));
    }

    #[test]
    fn a_steady_leak_is_found() {
        let rests: Vec<_> = (0..12).map(|rest| 100 * MEBIBYTE + rest * 3 * MEBIBYTE).collect();
        assert!(grew(&rests, RESIDENT));
    }

    #[test]
    fn a_slow_leak_is_found_in_live_bytes() {
        let rests: Vec<_> = (0..12).map(|rest| MEBIBYTE + rest * 300_000).collect();
        assert!(grew(&rests, LIVE));
        assert!(!grew(&rests, RESIDENT));
    }

    #[test]
    fn outliers_change_nothing() {
        let mut rests = [40 * MEBIBYTE; 12];
        (rests[4], rests[10]) = (0, 400 * MEBIBYTE);
        assert!(!grew(&rests, RESIDENT));
    }

    #[test]
    fn growth_over_the_limit_fails() {
        for (first, allowed) in [(10 * MEBIBYTE, 8 * MEBIBYTE), (200 * MEBIBYTE, 20 * MEBIBYTE)] {
            let until = |last| [[first; 6], [last; 6]].concat();
            assert!(!grew(&until(first + allowed), RESIDENT));
            assert!(grew(&until(first + allowed + 1), RESIDENT));
        }
    }

    #[test]
    fn too_few_rests_are_not_compared() {
        assert_eq!(compare(&[MEBIBYTE; FEWEST_RESTS - 1], RESIDENT), None);
    }
}
