//! The end of a service that is being used: what can land lands, the rest is cut, and nobody is left waiting.

use std::time::{Duration, Instant};

use shardflight::{Coalescer, Handle, JoinError, Shutdown};
use tokio::{runtime, task::JoinSet};

use crate::{
    Fallible,
    backend::{Backend, Page},
    callers::{Callers, ask, first_error},
    claim::claim,
    console::{say, show},
    patience::{eventually, until},
};

const DEADLINE: Duration = Duration::from_secs(2);

const SLOW: [&str; 4] = ["report for Monday", "report for Tuesday", "report for Wednesday", "report for Thursday"];
const ENDLESS: &str = "report for ever";
const CALLERS: usize = 3;

/// Clients that ask one thing after the other until they are told to stop.
const CLIENTS: usize = 8;

/// How long somebody waits who only wants to know whether the doors are closed yet.
const GLANCE: Duration = Duration::from_millis(20);

pub(super) async fn play() -> Fallible<()> {
    let metrics = runtime::Handle::current().metrics();
    let tasks_before = metrics.num_alive_tasks();
    let coalescer = Coalescer::<String, Page>::builder().no_flight_deadline().build()?;
    let handle = coalescer.handle();
    let (slow, endless) = (Backend::hung(), Backend::hung());

    say(format!(
        "{} reports are slow, one is endless, {CALLERS} callers wait for each; {CLIENTS} clients ask for page after page:",
        SLOW.len()
    ));
    let (mut patient, mut unlucky) = (Callers::default(), Callers::default());
    for key in SLOW {
        patient.send(CALLERS, &handle, key, &slow);
    }
    unlucky.send(CALLERS, &handle, ENDLESS, &endless);
    until(&handle, "all reports to be under way", |stats| stats.waiters == CALLERS * (SLOW.len() + 1)).await?;
    let clients = keep_asking(&handle);
    show(&until(&handle, "some traffic", |stats| stats.joins > 200).await?);

    say(format!(
        "shutdown({DEADLINE:?}), called twice at once; the slow reports get ready after the doors are closed:"
    ));
    let began = Instant::now();
    let (first, second, doors) = tokio::join!(coalescer.shutdown(DEADLINE), coalescer.shutdown(DEADLINE), async {
        let doors = doors_close(&handle, &slow).await;
        slow.recover();
        doors
    });
    doors?;
    let Shutdown { finished, cut, .. } = first;
    say(format!("  it took {:.2} s: {finished} flights finished, {cut} cut", began.elapsed().as_secs_f64()));
    claim(first == second, "both calls were told the same")?;
    claim(
        (SLOW.len()..=SLOW.len() + CLIENTS).contains(&finished),
        format!("the {} reports were finished, and what the clients had just asked for", SLOW.len()),
    )?;
    claim(cut == 1, "the endless one was cut")?;

    let (patient, unlucky) = (patient.rest().await?, unlucky.rest().await?);
    let served = patient.len() == CALLERS * SLOW.len() && patient.iter().all(Result::is_ok);
    claim(served, format!("all {} callers of the reports have theirs", patient.len()))?;
    let told = unlucky.len() == CALLERS && unlucky.iter().all(|answer| matches!(answer, Err(JoinError::Closed)));
    claim(told, format!("the {} of the endless one got Closed", unlucky.len()))?;
    claim_clients_are_answered(clients).await?;

    let late = ask(handle.clone(), SLOW[0], Backend::well()).await;
    claim(matches!(late, Err(JoinError::Closed)), format!("who comes now gets Closed: \"{}\"", first_error(&[late])))?;
    claim(coalescer.shutdown(DEADLINE).await == Shutdown::default(), "shutting down again finds nothing to do")?;
    nothing_is_left(&endless, || metrics.num_alive_tasks() <= tasks_before).await
}

/// Each client's answers: how many pages it got before it was told that the coalescer is closed.
fn keep_asking(handle: &Handle<String, Page>) -> JoinSet<Fallible<usize>> {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let handle = handle.clone();
        clients.spawn(async move {
            let backend = Backend::well();
            for pages in 0.. {
                let (backend, key) = (backend.clone(), format!("page {pages} of client {client}"));
                match handle.join(key.clone(), move || backend.load(key)).await {
                    Ok(_) => {}
                    Err(JoinError::Closed) => return Ok(pages),
                    Err(error) => return Err(error.into()),
                }
            }
            unreachable!("nobody asks for so many pages")
        });
    }
    clients
}

/// Whether each report's shard refuses joins by now. To glance at a flight that is there starts none.
async fn doors_close(handle: &Handle<String, Page>, slow: &Backend) -> Fallible<()> {
    let handle = handle.with_max_wait(GLANCE);
    for key in SLOW {
        loop {
            match ask(handle.clone(), key, slow.clone()).await {
                Err(JoinError::Closed) => break,
                Err(JoinError::TimedOut { .. }) => {}
                other => return Err(format!("a glance at {key:?} ended in {other:?}").into()),
            }
        }
    }
    Ok(())
}

async fn claim_clients_are_answered(mut clients: JoinSet<Fallible<usize>>) -> Fallible<()> {
    let (mut told, mut pages) = (0, 0);
    while let Some(ended) = clients.join_next().await {
        pages += ended??;
        told += 1;
    }
    claim(told == CLIENTS, format!("the {told} clients, {pages} pages later, were each told Closed"))?;
    Ok(())
}

async fn nothing_is_left(endless: &Backend, tasks_are_gone: impl Fn() -> bool) -> Fallible<()> {
    eventually("the work that was cut to be dropped", || endless.running() == 0).await?;
    claim(endless.running() == 0, "the work that was cut was dropped")?;
    eventually("the shards' tasks to end", &tasks_are_gone).await?;
    claim(tasks_are_gone(), "no task is left on the runtime")?;
    Ok(())
}
