//! What happened in a scenario, in its order, and what must be true of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::JoinError;

/// Locked for a moment between two scheduling points, never across one: recording changes no order.
#[derive(Clone, Default)]
pub(super) struct History(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    moment: u64,
    executions: Vec<Execution>,
    answers: Vec<Answer>,
    /// By key: how many executions may overlap the next, as they were forgotten, or go on past their deadline.
    excused: HashMap<u64, usize>,
    violations: Vec<String>,
    alive: Arc<()>,
}

struct Execution {
    key: u64,
    began: u64,
    ended: Option<u64>,
}

/// What a caller got.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    key: u64,
    /// When its join was first polled.
    asked: u64,
    heard: u64,
    /// Whose execution's result it is.
    pub(super) outcome: Result<usize, JoinError>,
}

/// Counted while it exists, as part of works and values: none of them may be left in the end.
#[derive(Clone, Debug)]
pub(super) struct Alive {
    _counted: Arc<()>,
}

/// An execution from its first poll until it is dropped.
pub(super) struct Running {
    history: History,
    pub(super) number: usize,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut entries = self.history.entries();
        let moment = entries.tick();
        entries.executions[self.number].ended = Some(moment);
    }
}

impl Entries {
    fn tick(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }
}

impl History {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> u64 {
        self.entries().tick()
    }

    pub(super) fn alive(&self) -> Alive {
        Alive { _counted: Arc::clone(&self.entries().alive) }
    }

    /// How many works and values there are.
    pub(super) fn alive_count(&self) -> usize {
        Arc::strong_count(&self.entries().alive) - 1
    }

    pub(super) fn executions(&self) -> usize {
        self.entries().executions.len()
    }

    pub(super) fn began(&self, execution: usize) -> u64 {
        self.entries().executions[execution].began
    }

    /// One more execution of the key may overlap a later one.
    pub(super) fn excuse(&self, key: u64) {
        *self.entries().excused.entry(key).or_default() += 1;
    }

    /// What must never happen. Not a panic: where work runs, a panic would be caught and be an answer.
    pub(super) fn violation(&self, what: String) {
        self.entries().violations.push(what);
    }

    pub(super) fn begin(&self, key: u64) -> Running {
        let mut entries = self.entries();
        let began = entries.tick();
        let running = entries.executions.iter().filter(|other| other.key == key && other.ended.is_none()).count();
        if running > entries.excused.get(&key).copied().unwrap_or_default() {
            entries.violations.push(format!("G1: an execution of {key} begins beside {running} others"));
        }
        let number = entries.executions.len();
        entries.executions.push(Execution { key, began, ended: None });
        drop(entries);
        Running { history: self.clone(), number }
    }

    pub(super) fn answered(&self, key: u64, asked: u64, outcome: Result<usize, JoinError>) -> Answer {
        let mut entries = self.entries();
        let answer = Answer { key, asked, heard: entries.tick(), outcome };
        entries.answers.push(answer.clone());
        answer
    }

    /// What holds for every scenario, whatever its schedule.
    pub(super) fn judge(&self) {
        let entries = self.entries();
        assert!(entries.violations.is_empty(), "{:?}", entries.violations);
        for answer in &entries.answers {
            let Ok(number) = answer.outcome else { continue };
            let execution = &entries.executions[number];
            assert_eq!(execution.key, answer.key, "an answer of another key's");
            assert!(execution.ended.is_some_and(|ended| ended < answer.heard), "an answer before its work had ended");
            let stale = entries.answers.iter().any(|other| {
                other.outcome.as_ref().is_ok_and(|&result| result == number) && other.heard < answer.asked
            });
            assert!(!stale, "G3: {answer:?} is of a result that others had before");
        }
        drop(entries);
        assert_eq!(self.alive_count(), 0, "G6: works or values are left");
    }
}
