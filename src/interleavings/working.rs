//! Work that fails or joins, limits on how much of it there is, and questions about it.

use std::{
    convert::identity,
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use shuttle::future::spawn;

use super::scene::{ELSEWHERE, KEY, begun, join, pause, play};
use crate::JoinError;

pub(super) fn a_panic_reaches_whoever_is_aboard_and_nobody_else() {
    play(1, identity, async |scene| {
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
        let leaver = spawn(scene.join(KEY, failing()));
        let (first, second) = (spawn(scene.join(KEY, failing())), spawn(scene.join(KEY, failing())));
        leaver.abort();
        let mut outcomes = vec![first.await.unwrap().outcome, second.await.unwrap().outcome];
        outcomes.extend(leaver.await.map(|answer| answer.outcome));
        for outcome in outcomes {
            assert!(matches!(outcome, Ok(1..) | Err(JoinError::Panicked(_))), "{outcome:?}");
        }
        assert!(scene.join(KEY, failing()).await.outcome.is_ok(), "G8: a panic is not remembered");
        scene.finish().await;
    });
}

pub(super) fn two_flights_that_wait_for_each_other_are_told() {
    play(2, identity, async |scene| {
        let put_off = Arc::new(AtomicUsize::new(0));
        let waiting_for = |other| {
            let (handle, record, put_off) = (scene.handle(), scene.record.clone(), Arc::clone(&put_off));
            async move || {
                let beside = record.executions();
                match join(handle, record.clone(), other, pause).await.outcome {
                    Ok(_) => {}
                    Err(JoinError::Reentrant) if beside == 2 || record.executions() == 2 => {
                        put_off.fetch_add(1, Ordering::Relaxed);
                    }
                    unexpected => record.violation(format!("G12: {unexpected:?}")),
                }
            }
        };
        let here = spawn(scene.join(KEY, waiting_for(ELSEWHERE)));
        let there = spawn(scene.join(ELSEWHERE, waiting_for(KEY)));
        assert!(here.await.unwrap().outcome.is_ok());
        assert!(there.await.unwrap().outcome.is_ok());
        assert!(put_off.load(Ordering::Relaxed) <= 2);
        scene.finish().await;
    });
}

pub(super) fn two_shards_never_start_a_flight_too_many() {
    play(
        2,
        |builder| builder.max_flights(1),
        async |scene| {
            let together = Arc::new(AtomicUsize::new(0));
            let alone = || {
                let (together, record) = (Arc::clone(&together), scene.record.clone());
                async move || {
                    if together.fetch_add(1, Ordering::Relaxed) != 0 {
                        record.violation("G7: two executions where one is allowed".to_owned());
                    }
                    pause().await;
                    together.fetch_sub(1, Ordering::Relaxed);
                }
            };
            let here = spawn(scene.join(KEY, alone()));
            let there = spawn(scene.join(ELSEWHERE, alone()));
            let outcomes = [here.await.unwrap().outcome, there.await.unwrap().outcome];
            assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
            assert!(
                outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(JoinError::TooManyFlights { limit: 1 })))
            );
            for key in [KEY, ELSEWHERE] {
                assert!(
                    scene.join(key, alone()).await.outcome.is_ok(),
                    "G7: the place of a flight that is over is free"
                );
            }
            scene.finish().await;
        },
    );
}

pub(super) fn a_question_comes_after_what_was_sent_before_it() {
    play(1, identity, async |scene| {
        let beside = scene.caller(KEY);
        let asked = begun(scene.call(KEY));
        let stats = scene.handle().stats().await.unwrap();
        assert!(stats.joins >= 1, "{stats:?}");
        assert!(beside.await.unwrap().outcome.is_ok());
        assert!(asked.await.outcome.is_ok());
        scene.finish().await;
    });
}
