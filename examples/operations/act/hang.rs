//! A backend that hangs: deadlines of flights, of callers, and where to look.

use std::time::Duration;

use futures::future::join_all;
use shardflight::{Coalescer, Handle, Inspection, JoinError, OnExpiry, Stats};

use crate::{
    Fallible,
    backend::{Backend, Page},
    callers::{Answer, all_are_pages, ask, first_error},
    claim::claim,
    console::{say, show, show_flights},
    patience::{eventually, until},
};

const DEADLINE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_millis(50);

const CROWDED: &str = "orders of customer 42";
const CROWD: usize = 6;
const QUIET: &str = "orders of customer 7";

/// A machine that is busy elsewhere for as long as the deadline lets the flights expire before anyone looks.
const ATTEMPTS: usize = 10;

pub(super) async fn play() -> Fallible<()> {
    fails_its_callers().await?;
    one_is_impatient().await?;
    detaches().await
}

async fn fails_its_callers() -> Fallible<()> {
    let coalescer = Coalescer::<String, Page>::builder()
        // Each shard tells ages as of its own moment; of one shard's flights the order is certain.
        .shards(1)
        .max_flight_duration(DEADLINE)
        .describe(|key: &String| key.clone())
        .build()?;
    let (handle, backend) = (coalescer.handle(), Backend::hung());

    say(format!("{} callers, two keys, no answer; max_flight_duration is {DEADLINE:?}:", CROWD + 1));
    let (answers, inspection) = watch_it_hang(&handle, &backend).await?;
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
    claim(stats.timeouts == stats.executions && stats.flights == 0, "the flights are gone")?;
    eventually("the work to be dropped", || backend.running() == 0).await?;
    claim(backend.running() == 0, "so is their work")?;

    say("The backend recovers, and the key works again:");
    backend.recover();
    let answer = ask(handle.clone(), CROWDED, backend).await;
    claim(all_are_pages(&[answer], CROWDED), "the next caller gets the page")?;
    Ok(())
}

/// Everyone asks, and somebody looks while they all wait.
async fn watch_it_hang(handle: &Handle<String, Page>, backend: &Backend) -> Fallible<(Vec<Answer>, Inspection)> {
    for _ in 0..ATTEMPTS {
        // All in one task: everyone has asked before anyone looks, and the quiet key's caller is the first.
        let quiet = ask(handle.clone(), QUIET, backend.clone());
        let crowd = (0..CROWD).map(|_| ask(handle.clone(), CROWDED, backend.clone()));
        let looking = async {
            let has_an_age = |stats: &Stats| stats.oldest_flight.is_none_or(|age| age > DEADLINE / 10);
            until(handle, "an age worth looking at", has_an_age).await?;
            let inspection = handle.inspect(2).await?;
            say("  inspect(2):");
            show_flights(&inspection);
            Fallible::Ok(inspection)
        };
        let (quiet, crowd, inspection) = tokio::join!(quiet, join_all(crowd), looking);
        let inspection = inspection?;
        if inspection.crowded.len() == 2 && inspection.oldest.len() == 2 {
            return Ok((crowd.into_iter().chain([quiet]).collect(), inspection));
        }
        say("  too late, they were over before anyone looked; once more:");
    }
    Err(format!("this machine is too busy: {ATTEMPTS} times the flights were over before they were seen").into())
}

async fn one_is_impatient() -> Fallible<()> {
    say(format!("One caller waits {PATIENCE:?} at most (with_max_wait), another as long as it takes:"));
    let coalescer = Coalescer::<String, Page>::new();
    let (handle, backend) = (coalescer.handle(), Backend::hung());
    let patient = tokio::spawn(ask(handle.clone(), CROWDED, backend.clone()));
    until(&handle, "the patient caller", |stats| stats.waiters == 1).await?;
    let impatient = ask(handle.with_max_wait(PATIENCE), CROWDED, backend.clone()).await;
    let stats = until(&handle, "the impatient caller to be gone", |stats| stats.departures == 1).await?;
    show(&stats);
    claim(
        matches!(impatient, Err(JoinError::TimedOut { after: PATIENCE })),
        format!("the impatient one got TimedOut: \"{}\"", first_error(&[impatient])),
    )?;
    claim(stats.flights == 1 && stats.waiters == 1, "its flight goes on for the other")?;
    backend.recover();
    claim(all_are_pages(&[patient.await?], CROWDED), "the patient one gets the page in the end")?;
    Ok(())
}

async fn detaches() -> Fallible<()> {
    say("The same deadline under OnExpiry::Detach:");
    let coalescer =
        Coalescer::<String, Page>::builder().max_flight_duration(DEADLINE).on_expiry(OnExpiry::Detach).build()?;
    let (handle, slow) = (coalescer.handle(), Backend::hung());
    let early = tokio::spawn(ask(handle.clone(), CROWDED, slow.clone()));
    until(&handle, "the deadline", |stats| stats.timeouts == 1).await?;
    let late = ask(handle.clone(), CROWDED, Backend::well()).await;
    let stats = until(&handle, "the second flight to land", |stats| stats.flights == 1).await?;
    show(&stats);
    claim(all_are_pages(&[late], CROWDED), "who comes after the deadline starts anew, and gets the page")?;
    claim(stats.waiters == 1 && !early.is_finished(), "who came before it still waits")?;
    slow.recover();
    claim(all_are_pages(&[early.await?], CROWDED), "and gets the late answer when it comes")?;
    Ok(())
}
