//! Ways through worlds too large to be explored: wherever bytes lead.
//!
//! The bytes are a random walk's or a fuzzer's. The first few say what the world is like, each of the others which of
//! the moves that are possible comes next; when they run out, everything under way is brought to its end.

use std::mem::discriminant;

use super::{Ended, Move, OnAbandon, OnExpiry, Setting, Task, Trial};

/// As many as a trial can tell apart.
const MOST_CALLERS: u8 = 24;

/// Plays what the bytes say, and panics with the way that led to it if the judge finds anything.
pub(crate) fn play(bytes: &[u8]) {
    let Some((shape, choices)) = bytes.split_first_chunk() else { return };
    let setting = setting(*shape);
    let mut trial = Trial::new(&setting);
    let mut way = Vec::new();
    let made = choices.iter().try_for_each(|&choice| {
        let Some(chosen) = trial.choose(choice) else { return Ok(()) };
        way.push(chosen);
        trial.make(chosen)
    });
    let ended = made.and_then(|()| {
        while let Some(chosen) = trial.towards_the_end() {
            way.push(chosen);
            trial.make(chosen)?;
        }
        Ok(())
    });
    if let Err(objection) = ended {
        panic!("{objection}\nin {setting:?}\nafter {way:#?}");
    }
}

fn setting([size, caps, time, policy]: [u8; 4]) -> Setting {
    let cap = |bits: u8| if bits == 0 { usize::MAX } else { bits.into() };
    let is_set = |bit: u8| policy & (1 << bit) != 0;
    Setting {
        one_hash: is_set(0),
        nested: is_set(1),
        fails: is_set(2),
        ends: is_set(3),
        on_abandon: if is_set(4) { OnAbandon::Abort } else { OnAbandon::Finish },
        on_expiry: if is_set(5) { OnExpiry::Detach } else { OnExpiry::Fail },
        forgets: policy >> 6,
        max_waiters: cap(caps & 7),
        max_flights: cap(caps >> 5),
        deadline: (time & 3 != 0).then_some(u32::from(time & 3)),
        ticks: u32::from(time >> 4),
        ..Setting::new("walk", 1 + (size & 31) % MOST_CALLERS, 1 + (size >> 5) % 4)
    }
}

impl Trial<'_> {
    /// Half of all bytes have the shard take a message, or it would hardly ever see anyone before they have left again.
    /// Others choose among the kinds of moves there are, each as likely as any, and then among the moves of that kind.
    fn choose(&self, choice: u8) -> Option<Move> {
        if choice & 0x80 != 0 && !self.closed && !self.lane.is_empty() {
            return Some(Move::Deliver);
        }
        let moves = self.moves();
        let mut kinds: Vec<_> = moves.iter().map(discriminant).collect();
        kinds.dedup();
        let kind = kinds.get(usize::from(choice & 7) % kinds.len().max(1))?;
        let moves: Vec<_> = moves.into_iter().filter(|chosen| discriminant(chosen) == *kind).collect();
        moves.get(usize::from(choice >> 3 & 15) % moves.len()).copied()
    }

    /// A move that brings the end nearer, if there is anything under way.
    fn towards_the_end(&self) -> Option<Move> {
        if !self.lane.is_empty() {
            return Some(Move::Deliver);
        }
        let running = |number: &usize| self.flights[*number].task != Task::Over;
        let free = (0..self.flights.len()).filter(running).find(|&flight| self.waiting_inside(flight).next().is_none());
        free.map(|flight| Move::End(flight, Ended::Returned))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_fuzzing_came_across_is_lawful() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/shard");
        let mut played = 0;
        for file in fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display())) {
            play(&fs::read(file.unwrap().path()).unwrap());
            played += 1;
        }
        assert!(played > 0, "nothing in {}", corpus.display());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

        #[test]
        fn whatever_happens_to_a_shard_is_lawful(bytes in prop::collection::vec(any::<u8>(), 4..300)) {
            play(&bytes);
        }
    }
}
