//! How often a call is tried.

use std::{sync::Arc, time::Duration};

use tokio::time::{Sleep, sleep};
use tower::retry::{
    Policy,
    budget::{Budget, TpsBudget},
};

use crate::failure::Failure;

/// Doubled for each further attempt, and drawn between half of it and all of it.
const FIRST_PAUSE: Duration = Duration::from_millis(4);

/// Cloned for each call; the budget is shared by all.
#[derive(Clone, Debug)]
pub(crate) struct Attempts {
    retries: usize,
    retried: u32,
    budget: Option<Arc<TpsBudget>>,
}

impl Attempts {
    pub(crate) fn new(retries: usize, budget: Option<Arc<TpsBudget>>) -> Self {
        Self { retries, retried: 0, budget }
    }
}

impl<Page> Policy<u32, Page, Failure> for Attempts {
    type Future = Sleep;

    fn retry(&mut self, _key: &mut u32, result: &mut Result<Page, Failure>) -> Option<Sleep> {
        let Self { retries, retried, budget } = self;
        // Every call pays in once, those that fail as well: so the budget is a part of the calls.
        if let (0, Some(budget)) = (*retried, &budget) {
            budget.deposit();
        }
        let is_worthwhile = result.as_ref().is_err_and(|failure| failure.is_of_the_backend());
        let has_retries = is_worthwhile && *retries > 0;
        if !has_retries || budget.as_ref().is_some_and(|budget| !budget.withdraw()) {
            return None;
        }
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(*retried);
        *retries -= 1;
        *retried += 1;
        Some(sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)))
    }

    fn clone_request(&mut self, key: &u32) -> Option<u32> {
        Some(*key)
    }
}
