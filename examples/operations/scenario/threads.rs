//! Plain threads and tasks that share one flight.

use std::thread;

use shardflight::{Coalescer, Handle};
use tokio::sync::mpsc;
use tracing::info_span;

use crate::{
    Fallible,
    backend::{Backend, Page},
    callers::{Answer, Callers, all_are_pages},
    claim::claim,
    console::{say, show},
    wait::until,
};

const KEY: &str = "configuration";
const FOLLOWERS: usize = 3;

pub(super) async fn run() -> Fallible<()> {
    let handle = Coalescer::<String, Page>::new().handle();

    say(format!("A thread leads (blocking_join), {FOLLOWERS} threads and {FOLLOWERS} tasks follow:"));
    let backend = Backend::hung();
    let (threads, mut tasks) = (Threads::new(), Callers::default());
    threads.start(1, &handle, &backend)?;
    until(&handle, "the leader", |stats| stats.waiters == 1).await?;
    threads.start(FOLLOWERS, &handle, &backend)?;
    tasks.spawn(FOLLOWERS, &handle, KEY, &backend);
    all_share(&handle, 1 + 2 * FOLLOWERS, backend, threads, tasks).await?;

    say(format!("A task leads, {FOLLOWERS} threads follow:"));
    handle.reset_stats().await?;
    let backend = Backend::hung();
    let (threads, mut tasks) = (Threads::new(), Callers::default());
    tasks.spawn(1, &handle, KEY, &backend);
    until(&handle, "the leader", |stats| stats.waiters == 1).await?;
    threads.start(FOLLOWERS, &handle, &backend)?;
    all_share(&handle, 1 + FOLLOWERS, backend, threads, tasks).await
}

/// Lets the backend recover once all callers wait, and checks their answers.
async fn all_share(
    handle: &Handle<String, Page>,
    callers: usize,
    backend: Backend,
    threads: Threads,
    mut tasks: Callers,
) -> Fallible<()> {
    show(&until(handle, "all callers to wait", |stats| stats.waiters == callers).await?);
    backend.recover();
    let mut answers = threads.answers().await;
    answers.extend(tasks.rest().await?);
    let stats = handle.stats().await?;
    claim(answers.len() == callers && all_are_pages(&answers, KEY), format!("all {callers} get the page"))?;
    claim(stats.executions == 1 && backend.queries() == 1, "from one query, in one flight")?;
    Ok(())
}

/// Callers on plain threads.
struct Threads {
    sender: mpsc::UnboundedSender<Answer>,
    answers: mpsc::UnboundedReceiver<Answer>,
}

impl Threads {
    fn new() -> Self {
        let (sender, answers) = mpsc::unbounded_channel();
        Self { sender, answers }
    }

    fn start(&self, threads: usize, handle: &Handle<String, Page>, backend: &Backend) -> Fallible<()> {
        for _ in 0..threads {
            let (handle, backend, sender) = (handle.clone(), backend.clone(), self.sender.clone());
            thread::Builder::new().spawn(move || {
                let _span = info_span!("thread", key = KEY).entered();
                let answer = handle.blocking_join(KEY, move || backend.load_blocking(KEY.to_string()));
                // Fails only if the scenario ended early, with an error of its own.
                let _ = sender.send(answer);
            })?;
        }
        Ok(())
    }

    /// The answers of all threads.
    async fn answers(self) -> Vec<Answer> {
        let Self { sender, mut answers } = self;
        drop(sender);
        let mut given = Vec::new();
        while let Some(answer) = answers.recv().await {
            given.push(answer);
        }
        given
    }
}
