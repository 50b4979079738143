//! What the shard must hold after every step, and what when it has come to rest.

use super::{Books, Flight, Judgement, Stage, Task, Trial, at};
use crate::{policy::OnAbandon, stats::Stats};

impl Trial<'_> {
    /// What must hold after every step.
    pub(super) fn judge_state(&mut self) -> Judgement {
        let mapped: Vec<_> = self.mapped().collect();
        holds!(
            self.shard.flights.len() == mapped.len(),
            "{} flights are mapped, not {mapped:?}",
            self.shard.flights.len()
        );
        let left = self.setting.max_flights - mapped.len();
        holds!(
            self.shard.rules.budget.left() == left,
            "G7: {} flights may start, not {left}",
            self.shard.rules.budget.left()
        );
        let mut seats = 0;
        for flight in mapped {
            seats += self.judge_flight(flight)?;
        }
        holds!(self.shard.waiters == seats, "{} waiters in all, and {seats} aboard", self.shard.waiters);
        for (number, caller) in self.callers.iter().enumerate() {
            let there = !matches!(caller.stage, Stage::Aboard(flight) if !self.flights[flight].mapped);
            holds!(caller.left || there, "G5: caller {number}'s flight is gone, and it has no answer");
        }
        self.judge_counters()?;
        if self.lane.is_empty() {
            self.judge_rest()?;
        }
        Ok(())
    }

    /// What was counted against what happened (G14); departures are counted when they are noticed.
    fn judge_counters(&self) -> Judgement {
        let (books, counters) = (self.books, &self.shard.counters);
        let counted = Books {
            joins: counters.joins,
            executions: counters.executions,
            coalesced: counters.coalesced,
            rejections: counters.rejections,
            panics: counters.panics,
            timeouts: counters.timeouts,
            aborts: counters.aborts,
            forgets: counters.forgets,
        };
        holds!(counted == books, "G14: {counted:?} counted, {books:?} happened");
        holds!(books.joins == books.executions + books.coalesced + books.rejections, "G14: {books:?}");
        Ok(())
    }

    /// How many left after they were taken aboard.
    pub(super) fn departed(&self) -> u64 {
        self.callers.iter().filter(|caller| caller.boarded.is_some() && caller.left).count() as u64
    }

    /// A flight in the map against the one in the books. Returns how many are aboard.
    fn judge_flight(&self, number: usize) -> Result<usize, String> {
        let books = &self.flights[number];
        let flight = self.shard.flights.iter().find(|flight| flight.itself.id == books.id);
        let flight = flight.ok_or_else(|| format!("flight {number} is not in the map"))?;
        holds!(flight.key == books.key && flight.started == at(books.started), "flight {number} has changed");
        holds!(flight.task == Some(books.id), "flight {number} has no task");
        holds!(flight.joinable == books.joinable, "G9, G11: flight {number} joinable: {}", flight.joinable);
        let aboard: Vec<_> = flight.crew.iter().map(|seat| usize::from(seat.number)).collect();
        let unknown = aboard.iter().find(|caller| !books.aboard.contains(caller));
        holds!(unknown.is_none(), "caller {unknown:?} is aboard flight {number}, and shouldn't be");
        let lost = self.live_aboard(number).find(|caller| !aboard.contains(caller));
        holds!(lost.is_none(), "G5: caller {lost:?} is lost from flight {number}");
        Ok(aboard.len())
    }

    /// What must hold once the shard has heard everything.
    fn judge_rest(&mut self) -> Judgement {
        if self.setting.on_abandon == OnAbandon::Abort && !self.closed {
            let lonely = self.mapped().find(|&flight| self.live_aboard(flight).next().is_none());
            holds!(lonely.is_none(), "G10: nobody is left on flight {lonely:?}, and it flies on");
        }
        let live: usize = self.mapped().map(|flight| self.live_aboard(flight).count()).sum();
        let now = at(self.now);
        // Of a copy: asking makes the shard look for the departed, and what it does unasked is to be seen too.
        let mut asked = self.clone();
        let stats = asked.with_shard(|shard, _| shard.stats(now));
        holds!(stats.waiters == live, "G7: {} waiters in the statistics, and {live} there", stats.waiters);
        let departed = self.departed();
        holds!(stats.departures == departed, "G14: {} departures counted of {departed}", stats.departures);
        self.judge_progress(&stats)
    }

    /// G5, G6, G12: somebody can always go on, or there is nothing left to do and nothing left.
    fn judge_progress(&self, stats: &Stats) -> Judgement {
        let running = |flight: &Flight| flight.task != Task::Over;
        let stuck =
            |number: usize| self.flights[number].task == Task::Running && self.waiting_inside(number).next().is_some();
        if self.flights.iter().any(running) {
            let all_stuck = (0..self.flights.len()).filter(|&number| running(&self.flights[number])).all(stuck);
            holds!(!all_stuck || self.closed, "G12: all work waits for other work");
            return Ok(());
        }
        holds!(self.shard.flights.is_empty() && stats.waiters == 0, "G6: something is left");
        let waiting = self.callers.iter().position(|caller| !caller.left && caller.stage != Stage::Done);
        holds!(waiting.is_none(), "G5: caller {waiting:?} waits for ever");
        Ok(())
    }
}
