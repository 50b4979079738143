//! The caps: joins beyond them are refused at once, and all others are served.

use shardflight::{Coalescer, Handle, JoinError, Stats};

use crate::{
    Fallible,
    backend::{Backend, Page},
    callers::{Answer, Callers, all_are_pages, first_error},
    claim::claim,
    console::{say, show},
    wait::until,
};

const MAX_WAITERS: usize = 4;
const MAX_FLIGHTS: usize = 3;

const CALLERS: usize = 9;
const POPULAR: &str = "front page";
const OTHERS: [&str; 5] = ["news", "sports", "weather", "culture", "science"];

pub(super) async fn run() -> Fallible<()> {
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
        format!("all {MAX_WAITERS} callers that waited for {POPULAR:?} get the page"),
    )?;
    claim(
        browsed.len() == MAX_FLIGHTS - 1 && browsed.iter().all(Result::is_ok),
        format!("so do the {} callers of the other keys", browsed.len()),
    )?;
    claim(backend.queries() == MAX_FLIGHTS, format!("the backend saw {} queries", backend.queries()))?;
    claim(
        stats.joins == stats.executions + stats.coalesced + stats.rejections + stats.bypasses,
        "joins = executions + coalesced + rejections + bypasses",
    )?;
    Ok(())
}

async fn one_key(handle: &Handle<String, Page>, backend: &Backend, readers: &mut Callers) -> Fallible<()> {
    say(format!("{CALLERS} callers request {POPULAR:?}; a flight may have {MAX_WAITERS} (max_waiters_per_flight):"));
    let waiting = readers.spawn(CALLERS, handle, POPULAR, backend);
    // The backend still hangs, so the answers so far are rejections that didn't wait for it.
    let refused = readers.first(CALLERS - MAX_WAITERS).await?;
    let stats = until(handle, "a full flight", |stats| stats.waiters == MAX_WAITERS).await?;
    show(&stats);
    say(format!("  they get: \"{}\"", first_error(&refused)));
    claim(refused.iter().all(is_too_many_waiters), format!("{} got TooManyWaiters at once", refused.len()))?;

    say("Two waiting callers leave, and two others join:");
    waiting.iter().filter(|caller| !caller.is_finished()).take(2).for_each(tokio::task::AbortHandle::abort);
    until(handle, "two departures", |stats| stats.departures == 2 && stats.waiters == MAX_WAITERS - 2).await?;
    readers.spawn(2, handle, POPULAR, backend);
    let stats = until(handle, "a full flight again", |stats| stats.waiters == MAX_WAITERS).await?;
    show(&stats);
    claim(stats.executions == 1, "they joined the same flight instead of those that left")?;
    Ok(())
}

async fn many_keys(handle: &Handle<String, Page>, backend: &Backend, browsers: &mut Callers) -> Fallible<()> {
    let free = MAX_FLIGHTS - 1;
    say(format!("{} other keys are requested; {MAX_FLIGHTS} flights may be under way (max_flights):", OTHERS.len()));
    for key in OTHERS {
        browsers.spawn(1, handle, key, backend);
    }
    let refused = browsers.first(OTHERS.len() - free).await?;
    let at_the_cap = |stats: &Stats| stats.flights == MAX_FLIGHTS;
    show(&until(handle, "the cap of flights", at_the_cap).await?);
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
