//! The environment of the scenarios: the database, the settings, the progress bars.

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

/// The query of an ordinary post.
const ORDINARY: Duration = Duration::from_millis(40);
/// The query of a viral post, long enough for ten thousand requests to arrive on a busy machine.
const HEAVY: Duration = Duration::from_millis(1_500);

const TICK: Duration = Duration::from_millis(100);
const PROBE_COMMENTS: u32 = 50;
const PROBES: usize = 9;
/// The limit on fast machines.
const MAX_COMMENTS: u32 = 50_000;

#[derive(Debug)]
pub(crate) struct Environment {
    directory: TempDir,
    database: PathBuf,
    pool_size: usize,
    requests: Option<usize>,
    /// By the post's id.
    pages: HashMap<u32, Bytes>,
    query: Duration,
    comments: u32,
}

/// The post of one arm.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) id: u32,
    pub(crate) page: Bytes,
}

impl Environment {
    /// Measures the machine, then creates a database whose queries take the intended time.
    pub(crate) async fn prepare(arguments: &Arguments) -> Fallible<Self> {
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

    /// A pool for one arm, with counts of its own.
    pub(crate) fn pool(&self) -> Fallible<Pool> {
        Ok(Pool::open(&self.database, self.pool_size)?)
    }

    pub(crate) fn post(&self, scenario: Scenario, arm: Arm) -> Fallible<Post> {
        let index = posts().position(|post| post == (scenario, arm)).ok_or("a scenario without a post")?;
        let id = u32::try_from(index)?;
        let page = self.pages.get(&id).ok_or("a post without a page")?.clone();
        Ok(Post { id, page })
    }

    /// The number of requests on the command line, or the scenario's default.
    pub(crate) fn requests(&self, default: usize) -> usize {
        self.requests.unwrap_or(default)
    }

    /// The approximate duration of a scenario's query.
    pub(crate) fn query(&self, weight: Weight) -> Duration {
        match weight {
            Weight::Ordinary => self.query,
            Weight::Heavy => HEAVY,
        }
    }

    /// Deletes the temporary directory. Dropping does so too, but can't report errors.
    pub(crate) fn close(self) -> Fallible<()> {
        Ok(self.directory.close()?)
    }
}

/// A progress bar, shown only if stderr is a terminal.
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

/// The scenario and the arm of each post, in the order of their ids.
fn posts() -> impl Iterator<Item = (Scenario, Arm)> {
    Scenario::ALL.into_iter().flat_map(|scenario| scenario.arms().iter().map(move |arm| (scenario, *arm)))
}

/// The number of comments that makes a query take the intended time.
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
