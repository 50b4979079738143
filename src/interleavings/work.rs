//! Work that fails or joins, and limits on how much of it there is.

use std::{
    convert::identity,
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use shuttle::future::spawn;

use super::{
    fixture::{ELSEWHERE, KEY, NEIGHBOUR, join, run},
    futures::{begun, pause, ready},
};
use crate::JoinError;

pub(super) fn a_panic_reaches_its_flights_callers_and_no_others() {
    run(1, identity, async |fixture| {
        let panics = Arc::new(AtomicUsize::new(0));
        let failing = || {
            let panics = Arc::clone(&panics);
            async move || {
                pause().await;
                if panics.fetch_add(1, Ordering::Relaxed) == 0 {
                    // Without the panic hook, which would print a schedule each time.
                    resume_unwind(Box::new("planned"));
                }
            }
        };
        let leaver = spawn(fixture.join(KEY, failing()));
        let (first, second) = (spawn(fixture.join(KEY, failing())), spawn(fixture.join(KEY, failing())));
        leaver.abort();
        let mut outcomes = vec![first.await.unwrap().outcome, second.await.unwrap().outcome];
        outcomes.extend(leaver.await.map(|answer| answer.outcome));
        for outcome in outcomes {
            assert!(matches!(outcome, Ok(1..) | Err(JoinError::Panicked(_))), "{outcome:?}");
        }
        assert!(fixture.join(KEY, failing()).await.outcome.is_ok(), "G8: a panic is not remembered");
        fixture.finish().await;
    });
}

pub(super) fn flights_of_two_shards_that_wait_for_each_other_are_told() {
    wait_in_a_cycle(2, &[KEY, ELSEWHERE]);
}

pub(super) fn flights_of_one_shard_that_wait_for_each_other_are_told() {
    wait_in_a_cycle(1, &[KEY, NEIGHBOUR]);
}

pub(super) fn three_flights_that_wait_in_a_cycle_are_told() {
    wait_in_a_cycle(2, &[KEY, ELSEWHERE, NEIGHBOUR]);
}

/// The work of each key's flight joins the next key.
fn wait_in_a_cycle(shards: usize, keys: &[u64]) {
    run(shards, identity, async |fixture| {
        let refused = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = keys
            .iter()
            .zip(keys.iter().cycle().skip(1))
            .map(|(&key, &next)| {
                let (handle, history, refused) = (fixture.handle(), fixture.history.clone(), Arc::clone(&refused));
                spawn(fixture.join(key, async move || {
                    // The wait may close a cycle only if all the flights are there.
                    match join(handle, history.clone(), next, pause).await.outcome {
                        Ok(_) => {}
                        Err(JoinError::Reentrant) => {
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                        unexpected => history.violation(format!("G12: {unexpected:?}")),
                    }
                }))
            })
            .collect();
        for caller in callers {
            assert!(caller.await.unwrap().outcome.is_ok());
        }
        let refused = refused.load(Ordering::Relaxed);
        assert!(refused == 0 || fixture.history.executions() <= keys.len(), "G12: {refused} refused, and no cycle");
        fixture.finish().await;
    });
}

pub(super) fn work_that_joins_its_own_key_is_told() {
    run(1, identity, async |fixture| {
        let (handle, history) = (fixture.handle(), fixture.history.clone());
        let nested = async move || {
            let outcome = join(handle, history.clone(), KEY, ready).await.outcome;
            if !matches!(outcome, Err(JoinError::Reentrant)) {
                history.violation(format!("G12: {outcome:?}"));
            }
        };
        let busy = fixture.caller(NEIGHBOUR);
        let caller = spawn(begun(fixture.join(KEY, nested)));
        assert!(caller.await.unwrap().outcome.is_ok());
        assert!(busy.await.unwrap().outcome.is_ok());
        fixture.finish().await;
    });
}

pub(super) fn two_shards_never_start_a_flight_too_many() {
    run(
        2,
        |builder| builder.max_flights(1),
        async |fixture| {
            let running = Arc::new(AtomicUsize::new(0));
            let alone = || {
                let (running, history) = (Arc::clone(&running), fixture.history.clone());
                async move || {
                    if running.fetch_add(1, Ordering::Relaxed) != 0 {
                        history.violation("G7: two executions where one is allowed".to_owned());
                    }
                    pause().await;
                    running.fetch_sub(1, Ordering::Relaxed);
                }
            };
            let callers = [KEY, ELSEWHERE].map(|key| spawn(fixture.join(key, alone())));
            let mut outcomes = Vec::new();
            for caller in callers {
                outcomes.push(caller.await.unwrap().outcome);
            }
            let is_refused = |outcome: &Result<_, _>| matches!(outcome, Err(JoinError::TooManyFlights { limit: 1 }));
            assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
            assert!(outcomes.iter().all(|outcome| outcome.is_ok() || is_refused(outcome)), "{outcomes:?}");
            for key in [KEY, ELSEWHERE] {
                let outcome = fixture.join(key, alone()).await.outcome;
                assert!(outcome.is_ok(), "G7: the place of a flight that is over is free: {outcome:?}");
            }
            fixture.finish().await;
        },
    );
}
