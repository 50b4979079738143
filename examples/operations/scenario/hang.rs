//! A backend that hangs: deadlines of flights, wait timeouts of callers, and inspection.

use std::time::Duration;

use futures::future::join_all;
use shardflight::{Coalescer, Handle, Inspection, JoinError, OnExpiry, Stats};

use crate::{
    Fallible,
    backend::{Backend, Page},
    callers::{Answer, all_are_pages, ask, first_error},
    claim::claim,
    console::{say, show, show_flights},
    wait::{eventually, until},
};

const DEADLINE: Duration = Duration::from_millis(300);
/// For a page that comes at once, on any machine.
const LONG: Duration = Duration::from_secs(30);
const MAX_WAIT: Duration = Duration::from_millis(50);

const CROWDED: &str = "orders of customer 42";
const CROWD: usize = 6;
const QUIET: &str = "orders of customer 7";

/// On a busy machine, flights may expire before they are inspected.
const ATTEMPTS: usize = 10;

pub(super) async fn run() -> Fallible<()> {
    fails_its_callers().await?;
    one_has_a_wait_timeout().await?;
    detaches().await
}

async fn fails_its_callers() -> Fallible<()> {
    let coalescer = Coalescer::<String, Page>::builder()
        // Shards report ages at slightly different times, so the order is certain only within one shard.
        .shards(1)
        .max_flight_duration(DEADLINE)
        .describe(|key: &String| key.clone())
        .build()?;
    let (handle, backend) = (coalescer.handle(), Backend::hung());

    say(format!("{} callers for two keys get no answer; max_flight_duration is {DEADLINE:?}:", CROWD + 1));
    let (answers, inspection) = inspect_while_hanging(&handle, &backend).await?;
    let stats = handle.stats().await?;
    show(&stats);
    say(format!("  they get: \"{}\"", first_error(&answers)));
    let (crowded, oldest) = (&inspection.crowded[0], &inspection.oldest[0]);
    claim(
        crowded.description.as_deref() == Some(CROWDED) && crowded.waiters == CROWD,
        format!("the most crowded flight is {CROWDED:?}, with {CROWD} waiters"),
    )?;
    claim(oldest.description.as_deref() == Some(QUIET), format!("the oldest is {QUIET:?}"))?;
    claim(
        answers.iter().all(|answer| matches!(answer, Err(JoinError::TimedOut { after: DEADLINE }))),
        format!("all {} callers got TimedOut", answers.len()),
    )?;
    claim(stats.timeouts == stats.executions && stats.flights == 0, "no flight is left")?;
    eventually("the work to be dropped", || backend.running() == 0).await?;
    claim(backend.running() == 0, "their work was dropped")?;

    say("The backend recovers, and the key works again:");
    backend.recover();
    let answer = ask(handle.with_max_flight_duration(LONG)?, CROWDED, backend).await;
    claim(all_are_pages(&[answer], CROWDED), "the next caller gets the page")?;
    Ok(())
}

/// Sends all callers, and inspects the flights while they wait.
async fn inspect_while_hanging(
    handle: &Handle<String, Page>,
    backend: &Backend,
) -> Fallible<(Vec<Answer>, Inspection)> {
    for _ in 0..ATTEMPTS {
        // All in one task, polled in order: the quiet key's caller joins first, and the inspection comes last.
        let quiet = ask(handle.clone(), QUIET, backend.clone());
        let crowd = (0..CROWD).map(|_| ask(handle.clone(), CROWDED, backend.clone()));
        let inspecting = async {
            let has_an_age = |stats: &Stats| stats.oldest_flight.is_none_or(|age| age > DEADLINE / 10);
            until(handle, "an age to show", has_an_age).await?;
            let inspection = handle.inspect(2).await?;
            say("  inspect(2):");
            show_flights(&inspection);
            Fallible::Ok(inspection)
        };
        let (quiet, crowd, inspection) = tokio::join!(quiet, join_all(crowd), inspecting);
        let inspection = inspection?;
        if inspection.crowded.len() == 2 && inspection.oldest.len() == 2 {
            return Ok((crowd.into_iter().chain([quiet]).collect(), inspection));
        }
        say("  the flights expired before they were inspected; trying again:");
    }
    Err(format!("this machine is too busy: in {ATTEMPTS} attempts the flights expired before they were inspected")
        .into())
}

async fn one_has_a_wait_timeout() -> Fallible<()> {
    say(format!("One caller waits for at most {MAX_WAIT:?} (with_max_wait), another without a limit:"));
    let coalescer = Coalescer::<String, Page>::new();
    let (handle, backend) = (coalescer.handle(), Backend::hung());
    let unlimited = tokio::spawn(ask(handle.clone(), CROWDED, backend.clone()));
    until(&handle, "the caller without a wait timeout", |stats| stats.waiters == 1).await?;
    let limited = ask(handle.with_max_wait(MAX_WAIT), CROWDED, backend.clone()).await;
    let stats = until(&handle, "the caller with a wait timeout to leave", |stats| stats.departures == 1).await?;
    show(&stats);
    claim(
        matches!(limited, Err(JoinError::TimedOut { after: MAX_WAIT })),
        format!("the first got TimedOut: \"{}\"", first_error(&[limited])),
    )?;
    claim(stats.flights == 1 && stats.waiters == 1, "its flight goes on for the other")?;
    backend.recover();
    claim(all_are_pages(&[unlimited.await?], CROWDED), "the second gets the page in the end")?;
    Ok(())
}

async fn detaches() -> Fallible<()> {
    say("The same deadline under OnExpiry::Detach:");
    let coalescer =
        Coalescer::<String, Page>::builder().max_flight_duration(DEADLINE).on_expiry(OnExpiry::Detach).build()?;
    let (handle, slow) = (coalescer.handle(), Backend::hung());
    let early = tokio::spawn(ask(handle.clone(), CROWDED, slow.clone()));
    until(&handle, "the deadline", |stats| stats.timeouts == 1).await?;
    let late = ask(handle.clone(), CROWDED, Backend::healthy()).await;
    let stats = until(&handle, "the second flight to complete", |stats| stats.flights == 1).await?;
    show(&stats);
    claim(all_are_pages(&[late], CROWDED), "a caller after the deadline starts a new flight, and gets the page")?;
    claim(stats.waiters == 1 && !early.is_finished(), "the caller before it still waits")?;
    slow.recover();
    claim(all_are_pages(&[early.await?], CROWDED), "and gets the late answer")?;
    Ok(())
}
