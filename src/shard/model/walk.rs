//! Ways through worlds too large to be explored: wherever bytes lead.
//!
//! The bytes are a random walk's or a fuzzer's. The first few say what the world is like, each of the others which of
//! the moves that are possible comes next; when they run out, everything under way is brought to its end.

use std::mem::discriminant;

use super::{Completion, Judgement, Move, OnAbandon, OnExpiry, Setting, Stage, Trial, Work, possible::Way};

const MOST_CALLERS: u8 = 24;

/// More moves than it ever takes to bring everything to its end.
const MOST_TO_THE_END: usize = 2_000;

/// Plays what the bytes say, and panics with the moves that led to it if the judge finds anything.
pub(crate) fn play(bytes: &[u8]) {
    let Some((shape, choices)) = bytes.split_first_chunk() else { return };
    let setting = setting(*shape);
    let mut trial = Trial::new(&setting);
    let mut path = Vec::new();
    if let Err(objection) = follow(&mut trial, choices, &mut path) {
        panic!("{objection}\nin a {}, {setting:?}\nafter {path:#?}", setting.name);
    }
}

fn follow(trial: &mut Trial<'_>, choices: &[u8], path: &mut Vec<Move>) -> Judgement {
    for (step, &choice) in choices.iter().enumerate() {
        if let Some(chosen) = trial.choose(choice, step) {
            path.push(chosen);
            trial.make(chosen)?;
        }
    }
    for _ in 0..MOST_TO_THE_END {
        let Some(chosen) = trial.towards_the_end() else { break };
        path.push(chosen);
        trial.make(chosen)?;
    }
    let waiting = trial.callers.iter().position(|caller| caller.stage != Stage::Done);
    holds!(waiting.is_none(), "G5: caller {waiting:?} waits for ever");
    holds!(trial.shard.flights() == 0, "G6: {} flights are left", trial.shard.flights());
    Ok(())
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
        queues: caps & 8 == 0,
        delays: caps & 16 == 0,
        deadline: (time & 3 != 0).then_some(u32::from(time & 3)),
        in_place: time & 4 != 0,
        admits: size & 128 != 0,
        renewals: if time & 8 != 0 { 16 } else { 0 },
        fresh: caps & 8 != 0 && time & 4 != 0,
        grace: u32::from(size & 3),
        ticks: u32::from(time >> 4),
        ..Setting::new("walk", 1 + (size & 31) % MOST_CALLERS, 1 + (size >> 5) % 4)
    }
}

impl Trial<'_> {
    /// Half of all bytes have the shard handle a message, or it would hardly ever see a caller before it has left again.
    /// Others choose among the kinds of moves there are, each as likely as any, and then among the moves of that kind.
    fn choose(&self, choice: u8, step: usize) -> Option<Move> {
        if choice & 0x80 != 0 && !self.is_free() {
            return Some(Move::Deliver);
        }
        let moves = self.moves();
        let mut kinds: Vec<_> = moves.iter().map(discriminant).collect();
        kinds.sort_by_key(|kind| moves.iter().position(|chosen| discriminant(chosen) == *kind));
        kinds.dedup();
        let choice = usize::from(choice & 0x7f);
        let kind = kinds.get(choice.checked_rem(kinds.len())?)?;
        let moves: Vec<_> = moves.into_iter().filter(|chosen| discriminant(chosen) == *kind).collect();
        // A byte alone would never reach the later ones of many.
        moves.get((choice / kinds.len() + step) % moves.len()).copied()
    }

    /// A move that brings the end nearer, if anything is under way.
    fn towards_the_end(&self) -> Option<Move> {
        if !self.is_free() {
            return Some(Move::Deliver);
        }
        let moves = self.moves();
        let brings_on = |chosen: &&Move| match **chosen {
            Move::Publish(_) => true,
            // One that is over and not published would be polled for ever.
            Move::Poll(caller, way) => {
                let caller = &self.callers[caller];
                let over = caller.place().is_some_and(|place| self.flights[place.flight].published);
                let replied = matches!(caller.stage, Stage::Replied(_));
                way == Way::Direct && (over || replied || (caller.woken && !self.is_publishing()))
            }
            _ => false,
        };
        let ends = |chosen: &&Move| {
            matches!(**chosen, Move::End(_, Completion::Value, Way::Direct) | Move::Resume(_) | Move::Grant(_))
        };
        let parks = |chosen: &&Move| matches!(**chosen, Move::Park(_));
        // Work inside it may wait for it to be gone, and would be parked and resumed for ever.
        let drops = |chosen: &&Move| match **chosen {
            Move::Park(flight) => matches!(self.flights[flight].work, Work::Polled { aborted: true, .. }),
            _ => false,
        };
        let next = moves.iter().find(brings_on).or_else(|| moves.iter().find(drops));
        let next = next.or_else(|| moves.iter().find(ends));
        // Work that was aborted while it waits for its own joins; then that which waits for others, which would be parked
        // and resumed for ever if it came earlier.
        let aborted = |chosen: &&Move| match **chosen {
            Move::End(flight, Completion::Aborted, Way::Direct) => self.flights[flight].work == Work::Aborted,
            _ => false,
        };
        next.or_else(|| moves.iter().find(aborted)).or_else(|| moves.iter().find(parks)).copied()
    }

    fn is_publishing(&self) -> bool {
        self.flights.iter().any(|flight| flight.outcome.is_some() && !flight.published)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_fuzzing_came_across_is_lawful() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        if package.join(".cargo_vcs_info.json").exists() {
            return; // a published package, which has no corpus
        }
        let corpus = package.join("fuzz/corpus/shard");
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
