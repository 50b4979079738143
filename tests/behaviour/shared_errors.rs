//! Errors that can't be cloned: `try_join_shared`, by itself and beside the other joins of a flight.

use std::{
    pin::Pin,
    sync::Arc,
    thread::{self, JoinHandle},
};

use futures::{
    executor::block_on,
    future::{join_all, pending},
};
use shardflight::{Coalescer, Handle, JoinError, RunWork, TryJoinError};

use crate::{
    busy_shard::SlowKey,
    support::{
        Count, CountsDrop, Gate, Wall, assert_pending, at_rest, eventually_blocking, in_a_child_process, inside,
        limited, one_shard, panic_quietly, poll_once, returning, two_workers, until, watched,
    },
};

/// Neither `Clone` nor an error.
#[derive(Debug, PartialEq)]
struct Plain(usize);

type PlainResult = Result<String, Plain>;

/// Neither as a value.
#[derive(Clone, Debug, PartialEq)]
struct Clonable(usize);

type ClonableResult = Result<String, Clonable>;

type Answers<E> = Result<String, TryJoinError<Arc<E>>>;

fn error_of<E>(answer: Answers<E>) -> Arc<E> {
    match answer {
        Err(TryJoinError::Work(error)) => error,
        _ => panic!("an error of the work"),
    }
}

#[tokio::test]
async fn an_error_without_clone_reaches_every_caller() {
    limited(async {
        let (handle, executions) = (one_shard::<u8, PlainResult>(), Count::default());
        let answers = join_all((0..100).map(|_| {
            let executions = executions.clone();
            handle.try_join_shared(1, move || async move {
                tokio::task::yield_now().await;
                Err(Plain(executions.up()))
            })
        }))
        .await;
        let errors: Vec<_> = answers.into_iter().map(error_of).collect();
        assert!(errors.iter().all(|error| Arc::ptr_eq(error, &errors[0]) && **error == Plain(1)));
        let stats = at_rest(&handle).await;
        assert_eq!((stats.executions, stats.errors), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn every_caller_gets_a_clone_of_the_value() {
    limited(async {
        let handle = one_shard::<u8, PlainResult>();
        let work = || async { Ok("value".to_owned()) };
        let answers = join_all((0..3).map(|_| handle.try_join_shared(1, work))).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap() == "value"));
        assert_eq!(at_rest(&handle).await.errors, 0);
    })
    .await;
}

#[tokio::test]
async fn an_error_is_held_by_its_callers_alone() {
    limited(async {
        let (handle, drops) = (one_shard::<u8, Result<u8, CountsDrop>>(), Count::default());
        let token = drops.on_drop();
        let (leader, follower) = tokio::join!(
            handle.try_join_shared(1, move || async move { Err(token) }),
            handle.try_join_shared(1, pending),
        );
        let (Err(TryJoinError::Work(first)), Err(TryJoinError::Work(second))) = (leader, follower) else {
            panic!("the work failed")
        };
        drop(first);
        assert_eq!(drops.get(), 0);
        assert!(Arc::into_inner(second).is_some(), "it is the last one");
        assert_eq!(drops.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_panic_of_the_work_is_no_error_of_the_work() {
    limited(async {
        let handle = one_shard::<u8, PlainResult>();
        let answer = handle.try_join_shared(1, || async { panic_quietly("no such table") }).await;
        assert!(matches!(answer, Err(TryJoinError::Join(JoinError::Panicked(_)))));
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_runs_its_own_work_gets_its_error_shared_or_not() {
    limited(async {
        let builder = Coalescer::<u8, PlainResult>::builder().shards(1).run_work(RunWork::InPlace);
        let handle = builder.build().unwrap().handle();
        let alone = handle.try_join_shared(1, || async { Err(Plain(1)) }).await;
        assert_eq!(*error_of(alone), Plain(1));

        let gate = Gate::new();
        let work = || {
            let passed = gate.pass();
            move || async move {
                passed.await;
                Err(Plain(2))
            }
        };
        let mut leader = handle.try_join_shared(1, work());
        assert_pending(&mut leader);
        let mut follower = handle.try_join_shared(1, work());
        assert_pending(&mut follower);
        gate.open();
        let (leader, follower) = (error_of(leader.await), error_of(follower.await));
        assert!(Arc::ptr_eq(&leader, &follower));
        assert_eq!(*leader, Plain(2));
    })
    .await;
}

#[tokio::test]
async fn a_bypassed_join_gets_its_error_in_an_arc() {
    limited(async {
        let handle = one_shard::<u8, PlainResult>();
        handle.set_enabled(false);
        assert_eq!(*error_of(handle.try_join_shared(1, || async { Err(Plain(1)) }).await), Plain(1));
    })
    .await;
}

/// What a caller of some method got.
type Caller = Pin<Box<dyn Future<Output = Got> + Send>>;

enum Got {
    Value(ClonableResult),
    Arc(Arc<ClonableResult>),
    SharedError(Answers<Clonable>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Method {
    Join,
    JoinShared,
    TryJoin,
    TryJoinShared,
}

const METHODS: [Method; 4] = [Method::Join, Method::JoinShared, Method::TryJoin, Method::TryJoinShared];

fn call(handle: &Handle<u8, ClonableResult>, method: Method, gate: &Gate, result: &ClonableResult) -> Caller {
    let (handle, work) = (handle.clone(), gate.then(result.clone()));
    match method {
        Method::Join => Box::pin(async move { Got::Value(handle.join(1, work).await.unwrap()) }),
        Method::JoinShared => Box::pin(async move { Got::Arc(handle.join_shared(1, work).await.unwrap()) }),
        Method::TryJoin => Box::pin(async move {
            Got::Value(handle.try_join(1, work).await.map_err(|error| match error {
                TryJoinError::Work(error) => error,
                TryJoinError::Join(error) => panic!("{error:?}"),
            }))
        }),
        Method::TryJoinShared => Box::pin(async move { Got::SharedError(handle.try_join_shared(1, work).await) }),
    }
}

#[tokio::test]
async fn callers_of_all_methods_share_a_flight_whoever_leads() {
    limited(async {
        for result in [Ok("value".to_owned()), Err(Clonable(7))] {
            // Twice each, so that two callers of a method can be compared, in every order of their first ones.
            for order in permutations(&METHODS) {
                let (handle, gate) = (one_shard::<u8, ClonableResult>(), Gate::new());
                let methods = order.iter().chain(&order);
                let mut callers: Vec<_> = methods.map(|method| call(&handle, *method, &gate, &result)).collect();
                callers.iter_mut().for_each(assert_pending);
                gate.open();
                let (mut arcs, mut errors) = (Vec::new(), Vec::new());
                for got in join_all(callers).await {
                    match got {
                        Got::Value(got) => assert_eq!(got, result, "{order:?}"),
                        Got::Arc(got) => arcs.push(got),
                        Got::SharedError(Ok(got)) => assert_eq!(Ok(got), result, "{order:?}"),
                        Got::SharedError(Err(TryJoinError::Work(got))) => errors.push(got),
                        Got::SharedError(Err(error)) => panic!("{order:?}: {error:?}"),
                    }
                }
                assert!(*arcs[0] == result && Arc::ptr_eq(&arcs[0], &arcs[1]), "{order:?}");
                if let Err(error) = &result {
                    assert!(*errors[0] == *error && Arc::ptr_eq(&errors[0], &errors[1]), "{order:?}");
                }
                assert_eq!(at_rest(&handle).await.executions, 1);
            }
        }
    })
    .await;
}

fn permutations(methods: &[Method]) -> Vec<Vec<Method>> {
    if methods.is_empty() {
        return vec![Vec::new()];
    }
    let with_first = |first: &Method| {
        let rest: Vec<_> = methods.iter().copied().filter(|method| method != first).collect();
        permutations(&rest).into_iter().map(|rest| [vec![*first], rest].concat()).collect::<Vec<_>>()
    };
    methods.iter().flat_map(with_first).collect()
}

#[tokio::test]
async fn an_error_is_cloned_once_for_all_callers_that_share_it() {
    #[derive(Debug)]
    struct Counted(Count);

    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.0.up();
            Self(self.0.clone())
        }
    }

    limited(async {
        let (handle, gate, clones) = (one_shard::<u8, Result<u8, Counted>>(), Gate::new(), Count::default());
        let (passed, error) = (gate.pass(), Counted(clones.clone()));
        let mut unpolled = handle.try_join(1, move || async move {
            passed.await;
            Err(error)
        });
        assert_pending(&mut unpolled);
        let mut callers: Vec<_> = (0..3).map(|_| handle.try_join_shared(1, pending)).collect();
        callers.iter_mut().for_each(assert_pending);
        gate.open();
        let errors: Vec<_> = join_all(callers).await.into_iter().map(|answer| answer.unwrap_err()).collect();
        assert!(errors.iter().all(|error| error.work().is_some()));
        assert_eq!(clones.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_flight_that_join_shared_joined_too_has_no_error_to_share() {
    limited(async {
        for shared_leads in [true, false] {
            let (handle, gate) = (one_shard::<u8, PlainResult>(), Gate::new());
            let work = || {
                let passed = gate.pass();
                move || async move {
                    passed.await;
                    Err(Plain(7))
                }
            };
            let (mut whole, mut by_error) = (handle.join_shared(1, work()), handle.try_join_shared(1, work()));
            if shared_leads {
                assert_pending(&mut whole);
                assert_pending(&mut by_error);
            } else {
                assert_pending(&mut by_error);
                assert_pending(&mut whole);
            }
            gate.open();
            assert_eq!(*whole.await.unwrap(), Err(Plain(7)));
            let error = by_error.await.unwrap_err();
            assert!(matches!(error, TryJoinError::Join(JoinError::MixedJoins)), "{error:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_flight_that_join_shared_joined_too_has_a_value_to_share() {
    limited(async {
        let handle = one_shard::<u8, PlainResult>();
        let work = || async { Ok("value".to_owned()) };
        let (whole, by_error) = tokio::join!(handle.join_shared(1, work), handle.try_join_shared(1, work));
        assert_eq!(*whole.unwrap(), Ok("value".to_owned()));
        assert_eq!(by_error.unwrap(), "value");
    })
    .await;
}

/// Its clone panics, and so does its drop.
#[derive(Debug)]
struct Hostile {
    clones: bool,
}

impl Clone for Hostile {
    fn clone(&self) -> Self {
        if !self.clones {
            panic_quietly("in a clone");
        }
        Self { clones: true }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        panic_quietly("in a drop");
    }
}

#[test]
fn an_error_whose_clone_panics_is_a_panic_for_its_caller() {
    in_a_child_process("shared_errors::an_error_whose_clone_panics_is_a_panic_for_its_caller", || async {
        let handle = one_shard::<u8, Result<u8, Hostile>>();
        let work = || async { Err(Hostile { clones: false }) };
        let (leader, follower) = tokio::join!(handle.join_shared(1, work), async {
            let mut clones = Box::pin(handle.join(1, work));
            assert_pending(&mut clones);
            let answer = handle.try_join_shared(1, work).await;
            drop(clones);
            answer
        });
        assert!(matches!(follower, Err(TryJoinError::Join(JoinError::Panicked(_)))), "{follower:?}");
        std::mem::forget(leader);
        assert_eq!(handle.try_join_shared(1, returning(Ok(7))).await.unwrap(), 7);
    });
}

#[test]
fn an_error_and_its_clone_may_both_panic_when_dropped() {
    in_a_child_process("shared_errors::an_error_and_its_clone_may_both_panic_when_dropped", || async {
        let (handle, gate) = (one_shard::<u8, Result<u8, Hostile>>(), Gate::new());
        let work = || {
            let passed = gate.pass();
            move || async move {
                passed.await;
                Err(Hostile { clones: true })
            }
        };
        let (mut clones, mut shares) = (handle.join(1, work()), handle.try_join_shared(1, work()));
        assert_pending(&mut clones);
        assert_pending(&mut shares);
        gate.open();
        at_rest(&handle).await;
        let Err(TryJoinError::Work(error)) = shares.await else { panic!("the work failed") };
        drop(error);
        // The last one to have the record, in which the error and its clone are.
        drop(clones);
        assert_eq!(handle.try_join_shared(2, returning(Ok(7))).await.unwrap(), 7);
    });
}

#[test]
fn a_join_that_waited_for_a_busy_shard_shares_its_error() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, one_shard::<SlowKey, PlainResult>);
        let gate = Gate::new();
        let work = || {
            let passed = gate.pass();
            move || async move {
                passed.await;
                Err(Plain(7))
            }
        };
        let mut first = handle.try_join_shared(SlowKey::new(1), work());
        assert_pending(&mut first);
        block_on(until(&handle, |stats| stats.waiters == 1));
        let ((wall, opener), comparisons) = (Wall::new(), Count::default());
        let key = SlowKey::walled(1, wall, comparisons.clone());
        let mut slow = handle.try_join_shared(key, work());
        let slow: JoinHandle<_> = thread::spawn(move || {
            let _ = poll_once(&mut slow);
            slow
        });
        eventually_blocking(|| comparisons.get() > 0);
        let mut queued: Vec<_> = (1..=2).map(|id| handle.try_join_shared(SlowKey::new(id), work())).collect();
        queued.iter_mut().for_each(assert_pending);
        drop(opener);
        let slow = slow.join().unwrap();
        gate.open();
        let errors = block_on(join_all([first, slow].into_iter().chain(queued)));
        let errors: Vec<_> = errors.into_iter().map(error_of).collect();
        assert!(errors[1..3].iter().all(|error| Arc::ptr_eq(error, &errors[0])));
        assert!(!Arc::ptr_eq(&errors[3], &errors[0]), "of another flight");
    });
}
