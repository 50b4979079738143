//! Ten thousand requests for one post.

use super::{Scenario, pool};
use crate::{Fallible, environment::Environment, report::Report};

const REQUESTS: usize = 10_000;

pub(super) async fn run(environment: &Environment) -> Fallible<Report> {
    let requests = environment.requests(REQUESTS);
    let mut report = Report::new(Scenario::Viral, format!("{requests} requests for one post with many comments"));
    for &arm in Scenario::Viral.arms() {
        pool::run_arm(environment, &mut report, arm, requests).await?;
    }
    Ok(report)
}
