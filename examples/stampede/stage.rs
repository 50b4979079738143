//! What all scenarios share: the database, the settings, the progress bars.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use axum::body::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::{
    Fallible,
    arguments::Arguments,
    arm::Arm,
    database::{self, LIKES},
    pool::Pool,
    report::human,
    scenario::{Scenario, Weight},
};

/// An ordinary post's query.
const ORDINARY: Duration = Duration::from_millis(40);
/// A query to give ten thousand requests the time to arrive, on a machine that has better things to do.
const HEAVY: Duration = Duration::from_millis(1_500);

const TICK: Duration = Duration::from_millis(100);
const PROBE_COMMENTS: u32 = 50;
const PROBES: usize = 9;
/// However fast the machine.
const MAX_COMMENTS: u32 = 50_000;

#[derive(Debug)]
pub(crate) struct Stage {
    directory: TempDir,
    database: PathBuf,
    pool_size: usize,
    requests: Option<usize>,
    /// By the post's id.
    pages: HashMap<u32, Bytes>,
    query: Duration,
    comments: u32,
}

/// A post of an arm's own.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) id: u32,
    pub(crate) page: Bytes,
}

impl Stage {
    /// Measures the machine, then makes a database that costs it what the scenarios are about.
    pub(crate) async fn set(arguments: &Arguments) -> Fallible<Self> {
        let directory = tempfile::Builder::new().prefix("stampede-").tempdir()?;
        let probe = directory.path().join("probe.sqlite");
        let database = directory.path().join("blog.sqlite");
        let blog = database.clone();
        let bar = spinner("filling the database");
        let filling = spawn_blocking(move || -> Fallible<_> {
            database::create(&probe, &[PROBE_COMMENTS])?;
            let comment = cost(&probe, 0)? / PROBE_COMMENTS;
            let sizes: Vec<u32> = posts().map(|(scenario, _)| comments(scenario.weight(), comment)).collect();
            let pages = database::create(&blog, &sizes)?;
            let query = cost(&blog, 0)?;
            Ok((pages, query, sizes[0]))
        });
        let (pages, query, comments) = filling.await??;
        bar.finish_and_clear();
        Ok(Self {
            directory,
            database,
            pool_size: arguments.pool as usize,
            requests: arguments.requests.map(|requests| requests as usize),
            pages,
            query,
            comments,
        })
    }

    pub(crate) fn description(&self) -> String {
        format!(
            "{} database connections. A page costs {}, by {} comments × {LIKES} likes and no index; a viral one about {}.",
            self.pool_size,
            human(self.query),
            self.comments,
            human(HEAVY),
        )
    }

    /// A pool of an arm's own, and so counts that are its own.
    pub(crate) fn pool(&self) -> Fallible<Pool> {
        Ok(Pool::open(&self.database, self.pool_size)?)
    }

    pub(crate) fn post(&self, scenario: Scenario, arm: Arm) -> Fallible<Post> {
        let index = posts().position(|post| post == (scenario, arm)).ok_or("a scenario without a post")?;
        let id = u32::try_from(index)?;
        let page = self.pages.get(&id).ok_or("a post without a page")?.clone();
        Ok(Post { id, page })
    }

    /// What was asked for, or the scenario's own number.
    pub(crate) fn requests(&self, default: usize) -> usize {
        self.requests.unwrap_or(default)
    }

    /// About how long the query of such a scenario takes.
    pub(crate) fn query(&self, weight: Weight) -> Duration {
        match weight {
            Weight::Ordinary => self.query,
            Weight::Heavy => HEAVY,
        }
    }

    /// Deletes everything. Dropping does so too, but can't say when it failed.
    pub(crate) fn strike(self) -> Fallible<()> {
        Ok(self.directory.close()?)
    }
}

/// Shown on a terminal's stderr, and nowhere else.
pub(crate) fn bar(scenario: Scenario, arm: Arm, requests: usize) -> ProgressBar {
    let bar = ProgressBar::new(requests as u64).with_message(format!("{}, {arm}", scenario.name()));
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg:22} {wide_bar} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    bar
}

fn spinner(message: &'static str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(message);
    spinner.enable_steady_tick(TICK);
    spinner
}

/// In the order of their ids.
fn posts() -> impl Iterator<Item = (Scenario, Arm)> {
    Scenario::ALL.into_iter().flat_map(|scenario| Arm::BOTH.map(|arm| (scenario, arm)))
}

/// How many comments make a query that slow.
fn comments(weight: Weight, comment: Duration) -> u32 {
    let goal = match weight {
        Weight::Ordinary => ORDINARY,
        Weight::Heavy => HEAVY,
    };
    let comments = goal.as_nanos() / comment.as_nanos().max(1);
    u32::try_from(comments).unwrap_or(MAX_COMMENTS).clamp(1, MAX_COMMENTS)
}

/// The median of a few queries; the first of them also fills the page cache.
fn cost(path: &Path, post: u32) -> Fallible<Duration> {
    let connection = database::open(path)?;
    let mut costs = Vec::with_capacity(PROBES);
    for _ in 0..PROBES {
        let started = Instant::now();
        database::page(&connection, post)?;
        costs.push(started.elapsed());
    }
    costs.sort_unstable();
    Ok(costs[PROBES / 2])
}
