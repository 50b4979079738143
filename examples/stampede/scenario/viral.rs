//! Ten thousand requests for one post.

use super::{Scenario, pool};
use crate::{Fallible, arm::Arm, report::Report, stage::Stage};

const REQUESTS: usize = 10_000;

pub(super) async fn run(stage: &Stage) -> Fallible<Report> {
    let requests = stage.requests(REQUESTS);
    let mut report = Report::new(Scenario::Viral, format!("{requests} requests for one post with many comments"));
    for arm in Arm::BOTH {
        pool::run_arm(stage, &mut report, arm, requests).await?;
    }
    Ok(report)
}
