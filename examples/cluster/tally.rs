//! What came of an act.

use std::time::Duration;

use crate::protocol::Numbers;

/// The answers that one replica's callers got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answers {
    pub(crate) right: u64,
    pub(crate) errors: u64,
    pub(crate) slowest: Duration,
    pub(crate) first_error: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) answers: Answers,
    /// Requests of a replica that was killed.
    pub(crate) lost: u64,
    /// At the backend.
    pub(crate) executions: u64,
    /// Of the tier, in all replicas that are left.
    pub(crate) numbers: Numbers,
}

impl Answers {
    pub(crate) fn add(&mut self, took: Duration, error: Option<String>) {
        self.slowest = self.slowest.max(took);
        match error {
            None => self.right += 1,
            Some(error) => {
                self.errors += 1;
                self.first_error.get_or_insert(error);
            }
        }
    }

    pub(crate) fn all(&self) -> u64 {
        self.right + self.errors
    }
}

impl Tally {
    /// One replica's part.
    pub(crate) fn add(&mut self, requests: u64, answers: &Answers, was_killed: bool) {
        self.requests += requests;
        if was_killed {
            self.lost += requests.saturating_sub(answers.all());
        }
        self.answers.right += answers.right;
        self.answers.errors += answers.errors;
        self.answers.slowest = self.answers.slowest.max(answers.slowest);
        if self.answers.first_error.is_none() {
            self.answers.first_error.clone_from(&answers.first_error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(right: u64, errors: u64, milliseconds: u64) -> Answers {
        let mut answers = Answers::default();
        let took = Duration::from_millis(milliseconds);
        (0..right).for_each(|_| answers.add(took, None));
        (0..errors).for_each(|number| answers.add(took / 2, Some(format!("error {number}"))));
        answers
    }

    #[test]
    fn counts_answers_and_keeps_the_slowest_and_the_first_error() {
        let answers = answers(3, 2, 40);
        assert_eq!((answers.right, answers.errors, answers.all()), (3, 2, 5));
        assert_eq!(answers.slowest, Duration::from_millis(40));
        assert_eq!(answers.first_error.as_deref(), Some("error 0"));
    }

    #[test]
    fn sums_replicas() {
        let mut tally = Tally::default();
        tally.add(4, &answers(4, 0, 30), false);
        tally.add(4, &answers(3, 1, 50), false);
        assert_eq!((tally.requests, tally.lost), (8, 0));
        assert_eq!((tally.answers.right, tally.answers.errors), (7, 1));
        assert_eq!(tally.answers.slowest, Duration::from_millis(50));
        assert_eq!(tally.answers.first_error.as_deref(), Some("error 0"));
    }

    #[test]
    fn what_a_killed_replica_owes_is_lost() {
        let mut tally = Tally::default();
        tally.add(10, &answers(4, 0, 30), true);
        assert_eq!((tally.requests, tally.answers.right, tally.lost), (10, 4, 6));
    }
}
