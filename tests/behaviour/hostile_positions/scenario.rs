//! One scenario with a bit of everything, on one thread and a clock that stands still: the same calls every time.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::FutureExt;
use shardflight::{Coalescer, Handle, JoinError, OnAbandon, OnExpiry, TryJoinError};

use super::faults::{Faults, Function, Hashers, Key, Position, Spelling, Thing, WorkOutput, describe, waker, work};
use crate::support::{Gate, at_rest, settle};

const DEADLINE: Duration = Duration::new(60, 0);

type Flights = Handle<Key, WorkOutput, Hashers>;

/// How a caller fared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    Answered,
    Panicked,
    TimedOut,
    Closed,
    /// A panic came out of the call that makes the join, or out of its poll.
    OwnPanic,
    Left,
}

/// How a join ended, and what of the user's the caller has to drop.
type Ended = (Result<(), JoinError>, Box<dyn Any>);

struct Caller {
    name: &'static str,
    join: Option<Pin<Box<dyn Future<Output = Ended>>>>,
    fate: Option<Fate>,
}

fn keep<T: Any, E>(result: Result<T, E>, why: impl FnOnce(E) -> Ended) -> Ended {
    match result {
        Ok(value) => (Ok(()), Box::new(value)),
        Err(error) => why(error),
    }
}

fn refused(error: JoinError) -> Ended {
    (Err(error), Box::new(()))
}

/// The callers of one key, whose types are hostile, and all that is done to them.
pub(super) struct Scene {
    faults: Faults,
    handle: Flights,
    coalescer: Coalescer<Key, WorkOutput, Hashers>,
    callers: Vec<Caller>,
}

#[derive(Clone, Copy)]
enum Api {
    Join,
    JoinShared,
    TryJoin,
}

impl Scene {
    fn new(faults: &Faults, on_abandon: OnAbandon, on_expiry: OnExpiry) -> Self {
        let coalescer = Coalescer::builder()
            .shards(1)
            .hasher(Hashers(faults.clone()))
            .describe(describe)
            .max_flight_duration(DEADLINE)
            .on_abandon(on_abandon)
            .on_expiry(on_expiry)
            .build()
            .expect("inside a runtime");
        Self { faults: faults.clone(), handle: coalescer.handle(), coalescer, callers: Vec::new() }
    }

    /// Makes a join and polls it once.
    async fn joins(&mut self, name: &'static str, api: Api, gate: &Gate, fails: bool) {
        let (faults, handle) = (&self.faults, &self.handle);
        let made = catch_unwind(AssertUnwindSafe(|| -> Pin<Box<dyn Future<Output = Ended>>> {
            let (key, work) = (Spelling(1, faults.clone()), work(faults, gate, fails));
            match api {
                Api::Join => Box::pin(handle.join(key, work).map(|result| keep(result, refused))),
                Api::JoinShared => Box::pin(handle.join_shared(key, work).map(|result| keep(result, refused))),
                Api::TryJoin => Box::pin(handle.try_join(key, work).map(|result| {
                    keep(result, |error| match error {
                        TryJoinError::Join(error) => refused(error),
                        TryJoinError::Work(error) => (Ok(()), Box::new(error)),
                    })
                })),
            }
        }));
        let fate = made.is_err().then_some(Fate::OwnPanic);
        self.callers.push(Caller { name, join: made.ok(), fate });
        self.poll_all();
        settle().await;
    }

    /// Polls the waiting callers, each with a waker of its own.
    fn poll_all(&mut self) {
        for caller in &mut self.callers {
            let Some(join) = &mut caller.join else { continue };
            let waker = waker(&self.faults);
            let polled = catch_unwind(AssertUnwindSafe(|| join.as_mut().poll(&mut Context::from_waker(&waker))));
            // The executor's own part in it.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(waker)));
            let Ok(polled) = polled else {
                (caller.join, caller.fate) = (None, Some(Fate::OwnPanic));
                continue;
            };
            if let Poll::Ready((result, remains)) = polled {
                let _ = catch_unwind(AssertUnwindSafe(|| drop(remains)));
                caller.join = None;
                caller.fate = Some(match result {
                    Ok(()) => Fate::Answered,
                    Err(JoinError::Panicked(panic)) if panic.message() == "injected" => Fate::Panicked,
                    Err(JoinError::TimedOut { .. }) => Fate::TimedOut,
                    Err(JoinError::Closed) => Fate::Closed,
                    Err(other) => panic!("{} got {other}", caller.name),
                });
            }
        }
    }

    /// The caller that came last leaves.
    async fn leaves(&mut self) {
        let caller = self.callers.last_mut().expect("a caller came");
        if let Some(join) = caller.join.take() {
            drop(join);
            caller.fate = Some(Fate::Left);
        }
        settle().await;
    }

    async fn opens(&mut self, gate: &Gate) {
        gate.open();
        for _ in 0..3 {
            settle().await;
            self.poll_all();
        }
    }

    async fn forgets(&mut self) {
        // Its panic is its caller's, which gets no other answer.
        let key = catch_unwind(AssertUnwindSafe(|| Key::from(Spelling(1, self.faults.clone()))));
        if let Ok(key) = key {
            let forgot = AssertUnwindSafe(self.handle.forget(key)).catch_unwind().await;
            assert!(!matches!(forgot, Ok(Err(_))), "a question was lost in the shard");
        }
        settle().await;
    }

    /// Two flights of the key at once, the older one forgotten; one returns a value, the other an error.
    async fn shares_and_forgets(&mut self) {
        let (first, second) = (Gate::new(), Gate::new());
        self.joins("leader", Api::Join, &first, false).await;
        self.joins("follower", Api::Join, &first, false).await;
        self.joins("sharing follower", Api::JoinShared, &first, false).await;
        self.joins("departing follower", Api::Join, &first, false).await;
        self.leaves().await;
        let _ = self.handle.inspect(5).await.expect("the shard is there");
        self.forgets().await;
        self.joins("second leader", Api::TryJoin, &second, true).await;
        self.joins("second follower", Api::TryJoin, &second, true).await;
        self.opens(&first).await;
        self.opens(&second).await;
    }

    async fn abandons_and_expires(&mut self) {
        let (abandoned, overdue) = (Gate::new(), Gate::new());
        self.joins("abandoning leader", Api::Join, &abandoned, false).await;
        self.leaves().await;
        self.opens(&abandoned).await;
        self.joins("overdue leader", Api::Join, &overdue, false).await;
        self.joins("overdue follower", Api::JoinShared, &overdue, false).await;
        tokio::time::advance(DEADLINE + Duration::from_secs(1)).await;
        settle().await;
        self.poll_all();
        self.joins("one after the expiry", Api::Join, &overdue, false).await;
        self.opens(&overdue).await;
    }

    fn all_are_answered(&self) {
        for caller in &self.callers {
            assert!(caller.fate.is_some(), "{} hangs", caller.name);
        }
    }
}

/// A caller that has nothing to do with it all.
fn bystander(
    handle: &Flights,
    id: u8,
    gate: &Gate,
) -> impl Future<Output = Result<WorkOutput, JoinError>> + Unpin + use<> {
    let (passed, peaceful) = (gate.pass(), Faults::default());
    handle.join(Spelling(id, Faults::default()), move || passed.map(move |()| Ok(Thing::value(&peaceful))))
}

/// Plays it all, with a panic at that position. Returns how every caller of the key fared.
pub(super) async fn play(faults: &Faults, on_abandon: OnAbandon, on_expiry: OnExpiry) -> Vec<(&'static str, Fate)> {
    let mut scene = Scene::new(faults, on_abandon, on_expiry);
    let handle = scene.handle.clone();
    let gate = Gate::new();
    let mut meanwhile = bystander(&handle, 2, &gate);
    assert!(futures::poll!(&mut meanwhile).is_pending());
    settle().await;

    faults.activate(true);
    scene.shares_and_forgets().await;
    gate.open();
    assert!(meanwhile.await.is_ok(), "a bystander got an error");
    scene.abandons_and_expires().await;
    scene.all_are_answered();

    faults.activate(false);
    let open = Gate::new();
    open.open();
    for id in 1..4 {
        assert!(bystander(&handle, id, &open).await.is_ok(), "key {id} was not served afterwards");
    }
    at_rest(&handle).await;

    faults.activate(true);
    let never = Gate::new();
    scene.joins("cut leader", Api::Join, &never, false).await;
    scene.joins("cut follower", Api::Join, &never, false).await;
    scene.coalescer.shutdown(Duration::ZERO).await;
    settle().await;
    scene.poll_all();
    scene.joins("one after the shutdown", Api::Join, &never, false).await;
    scene.all_are_answered();
    let Scene { callers, handle, coalescer, .. } = scene;
    drop((handle, coalescer));
    settle().await;
    callers.into_iter().map(|caller| (caller.name, caller.fate.expect("answered"))).collect()
}

/// Which callers may see a panic at that position, and how.
pub(super) fn check(position: Position, fates: &[(&'static str, Fate)]) {
    let having = |fate| fates.iter().filter(|(_, other)| *other == fate).count();
    let (panicked, own) = (having(Fate::Panicked), having(Fate::OwnPanic));
    let (most_panicked, most_own) = match position.0 {
        // The other is what a caller's executor was to drop, when it polls with a new waker.
        Function::IntoKey | Function::WakerDrop => (0, 1),
        // One caller's own, before or after the flight.
        Function::BuildHasher | Function::Hash | Function::Eq | Function::ValueClone | Function::ErrorClone => (1, 0),
        // All of the flight's.
        Function::Closure | Function::Poll => (3, 0),
        _ => (0, 0),
    };
    assert!(panicked <= most_panicked && own <= most_own, "{position:?}: {fates:?}");
    let cut: Vec<_> = fates.iter().filter(|(_, fate)| *fate == Fate::Closed).map(|(name, _)| *name).collect();
    assert!(
        cut.iter().all(|name| name.starts_with("cut") || name.starts_with("one after the shut")),
        "{position:?}: {cut:?}"
    );
}
