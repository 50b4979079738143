//! The caps: who is over them is told so at once, and everyone else is served.

use shardflight::{Coalescer, Handle, JoinError, Stats};

use crate::{
    Fallible,
    backend::{Backend, Page},
    callers::{Answer, Callers, all_are_pages, first_error},
    claim::claim,
    console::{say, show},
    patience::until,
};

const MAX_WAITERS: usize = 4;
const MAX_FLIGHTS: usize = 3;

const CALLERS: usize = 9;
const POPULAR: &str = "front page";
const OTHERS: [&str; 5] = ["news", "sports", "weather", "culture", "science"];

pub(super) async fn play() -> Fallible<()> {
    let coalescer = Coalescer::<String, Page>::builder()
        .max_waiters_per_flight(MAX_WAITERS)
        .max_flights(MAX_FLIGHTS)
        .crowd_threshold(MAX_WAITERS - 1)
        .build()?;
    let (handle, backend) = (coalescer.handle(), Backend::hung());

    let mut readers = Callers::default();
    one_key(&handle, &backend, &mut readers).await?;
    let mut browsers = Callers::default();
    many_keys(&handle, &backend, &mut browsers).await?;

    say("The backend recovers:");
    backend.recover();
    let (read, browsed) = (readers.rest().await?, browsers.rest().await?);
    let stats = handle.stats().await?;
    show(&stats);
    claim(
        read.len() == MAX_WAITERS && all_are_pages(&read, POPULAR),
        format!("all {MAX_WAITERS} that stayed on {POPULAR:?} get the page"),
    )?;
    claim(
        browsed.len() == MAX_FLIGHTS - 1 && browsed.iter().all(Result::is_ok),
        format!("so do the {} of the other keys", browsed.len()),
    )?;
    claim(backend.queries() == MAX_FLIGHTS, format!("the backend saw {} queries", backend.queries()))?;
    claim(
        stats.joins == stats.executions + stats.coalesced + stats.rejections + stats.bypasses,
        "joins = executions + coalesced + rejections + bypasses",
    )?;
    Ok(())
}

async fn one_key(handle: &Handle<String, Page>, backend: &Backend, readers: &mut Callers) -> Fallible<()> {
    say(format!("{CALLERS} callers want {POPULAR:?}; a flight may have {MAX_WAITERS} (max_waiters_per_flight):"));
    let waiting = readers.send(CALLERS, handle, POPULAR, backend);
    // The backend is still hung, so whoever is answered now was refused without waiting for it.
    let refused = readers.first(CALLERS - MAX_WAITERS).await?;
    let stats = until(handle, "a full flight", |stats| stats.waiters == MAX_WAITERS).await?;
    show(&stats);
    say(format!("  they get: \"{}\"", first_error(&refused)));
    claim(refused.iter().all(is_too_many_waiters), format!("{} got TooManyWaiters at once", refused.len()))?;

    say("Two of those that wait hang up, and two others come:");
    waiting.iter().filter(|caller| !caller.is_finished()).take(2).for_each(tokio::task::AbortHandle::abort);
    until(handle, "two departures", |stats| stats.departures == 2 && stats.waiters == MAX_WAITERS - 2).await?;
    readers.send(2, handle, POPULAR, backend);
    let stats = until(handle, "a full flight again", |stats| stats.waiters == MAX_WAITERS).await?;
    show(&stats);
    claim(stats.executions == 1, "they took the places of those that left, in the same flight")?;
    Ok(())
}

async fn many_keys(handle: &Handle<String, Page>, backend: &Backend, browsers: &mut Callers) -> Fallible<()> {
    let free = MAX_FLIGHTS - 1;
    say(format!("{} other keys are wanted; {MAX_FLIGHTS} flights may be under way (max_flights):", OTHERS.len()));
    for key in OTHERS {
        browsers.send(1, handle, key, backend);
    }
    let refused = browsers.first(OTHERS.len() - free).await?;
    let at_the_cap = |stats: &Stats| stats.flights == MAX_FLIGHTS;
    show(&until(handle, "as many flights as may be", at_the_cap).await?);
    say(format!("  they get: \"{}\"", first_error(&refused)));
    claim(refused.iter().all(is_too_many_flights), format!("{} got TooManyFlights at once", refused.len()))?;
    Ok(())
}

fn is_too_many_waiters(answer: &Answer) -> bool {
    matches!(answer, Err(JoinError::TooManyWaiters { limit: MAX_WAITERS }))
}

fn is_too_many_flights(answer: &Answer) -> bool {
    matches!(answer, Err(JoinError::TooManyFlights { limit: MAX_FLIGHTS }))
}
