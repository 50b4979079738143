//! A shutdown under load: flights that end in time are finished, the rest is cut, and every caller is answered.

use std::time::{Duration, Instant};

use shardflight::{Coalescer, Handle, JoinError, Shutdown};
use tokio::{runtime, task::JoinSet};

use crate::{
    Fallible,
    backend::{Backend, Page},
    callers::{Callers, ask, first_error},
    claim::claim,
    console::{say, show},
    wait::{eventually, until},
};

const DEADLINE: Duration = Duration::from_secs(5);

const SLOW: [&str; 4] = ["report for Monday", "report for Tuesday", "report for Wednesday", "report for Thursday"];
const ENDLESS: &str = "report for ever";
const CALLERS: usize = 3;

/// Clients that make one request after the other until the coalescer is closed.
const CLIENTS: usize = 8;

/// The wait timeout of a join that only probes whether a shard is closed.
const PROBE_WAIT: Duration = Duration::from_millis(20);

pub(super) async fn run() -> Fallible<()> {
    let metrics = runtime::Handle::current().metrics();
    let tasks_before = metrics.num_alive_tasks();
    let coalescer = Coalescer::<String, Page>::builder().no_flight_deadline().build()?;
    let handle = coalescer.handle();
    let (slow, endless) = (Backend::hung(), Backend::hung());

    say(format!(
        "{} reports are slow, one is endless, {CALLERS} callers wait for each; {CLIENTS} clients ask for page after page:",
        SLOW.len()
    ));
    let (mut slow_callers, mut endless_callers) = (Callers::default(), Callers::default());
    for key in SLOW {
        slow_callers.spawn(CALLERS, &handle, key, &slow);
    }
    endless_callers.spawn(CALLERS, &handle, ENDLESS, &endless);
    until(&handle, "all reports to be under way", |stats| stats.waiters == CALLERS * (SLOW.len() + 1)).await?;
    let clients = keep_asking(&handle);
    show(&until(&handle, "some traffic", |stats| stats.joins > 200).await?);

    say(format!("shutdown({DEADLINE:?}), called twice at once; the slow reports complete after joins are closed:"));
    let began = Instant::now();
    let (first, second, closed) = tokio::join!(coalescer.shutdown(DEADLINE), coalescer.shutdown(DEADLINE), async {
        let closed = shards_close(&handle, &slow).await;
        slow.recover();
        closed
    });
    closed?;
    let Shutdown { finished, cut, .. } = first;
    say(format!("  it took {:.2} s: {finished} flights finished, {cut} cut", began.elapsed().as_secs_f64()));
    claim(first == second, "both calls returned the same")?;
    claim(
        (SLOW.len()..=SLOW.len() + CLIENTS).contains(&finished),
        format!("the {} reports were finished, and the clients' last requests", SLOW.len()),
    )?;
    claim(cut == 1, "the endless one was cut")?;

    let (slow_answers, endless_answers) = (slow_callers.rest().await?, endless_callers.rest().await?);
    let served = slow_answers.len() == CALLERS * SLOW.len() && slow_answers.iter().all(Result::is_ok);
    claim(served, format!("all {} callers of the slow reports got them", slow_answers.len()))?;
    let all_closed = endless_answers.len() == CALLERS
        && endless_answers.iter().all(|answer| matches!(answer, Err(JoinError::Closed)));
    claim(all_closed, format!("the {} callers of the endless one got Closed", endless_answers.len()))?;
    claim_clients_are_answered(clients).await?;

    let late = ask(handle.clone(), SLOW[0], Backend::healthy()).await;
    claim(matches!(late, Err(JoinError::Closed)), format!("a later caller gets Closed: \"{}\"", first_error(&[late])))?;
    claim(coalescer.shutdown(DEADLINE).await == Shutdown::default(), "another shutdown has nothing to do")?;
    nothing_is_left(&endless, || metrics.num_alive_tasks() <= tasks_before).await
}

/// Spawns the clients. Each returns the number of pages that it got before the coalescer was closed.
fn keep_asking(handle: &Handle<String, Page>) -> JoinSet<Fallible<usize>> {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let handle = handle.clone();
        clients.spawn(async move {
            let backend = Backend::healthy();
            for pages in 0.. {
                let (backend, key) = (backend.clone(), format!("page {pages} of client {client}"));
                match handle.join(key.clone(), move || backend.load(key)).await {
                    Ok(_) => {}
                    Err(JoinError::Closed) => return Ok(pages),
                    Err(error) => return Err(error.into()),
                }
            }
            unreachable!("no client requests so many pages")
        });
    }
    clients
}

/// Waits until each report's shard rejects joins. Each probe joins an existing flight, and so starts none.
async fn shards_close(handle: &Handle<String, Page>, slow: &Backend) -> Fallible<()> {
    let handle = handle.with_max_wait(PROBE_WAIT);
    for key in SLOW {
        loop {
            match ask(handle.clone(), key, slow.clone()).await {
                Err(JoinError::Closed) => break,
                Err(JoinError::TimedOut { .. }) => {}
                other => return Err(format!("a probe of {key:?} ended in {other:?}").into()),
            }
        }
    }
    Ok(())
}

async fn claim_clients_are_answered(mut clients: JoinSet<Fallible<usize>>) -> Fallible<()> {
    let (mut closed, mut pages) = (0, 0);
    while let Some(ended) = clients.join_next().await {
        pages += ended??;
        closed += 1;
    }
    claim(closed == CLIENTS, format!("the {closed} clients each got Closed, after {pages} pages in all"))?;
    Ok(())
}

async fn nothing_is_left(endless: &Backend, tasks_are_gone: impl Fn() -> bool) -> Fallible<()> {
    eventually("the work that was cut to be dropped", || endless.running() == 0).await?;
    claim(endless.running() == 0, "the work that was cut was dropped")?;
    eventually("the shards' tasks to end", &tasks_are_gone).await?;
    claim(tasks_are_gone(), "no task is left on the runtime")?;
    Ok(())
}
