//! User-supplied things that count every call of theirs, and panic at one of them.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, DefaultHasher, Hash, Hasher},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker, ready},
};

use crate::support::{Gate, panic_quietly};

/// Everything of a user's that is ever called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Function {
    IntoKey,
    BuildHasher,
    Hash,
    Eq,
    Describe,
    KeyDrop,
    Closure,
    ClosureDrop,
    Poll,
    FutureDrop,
    ValueClone,
    ValueDrop,
    ErrorClone,
    ErrorDrop,
    Wake,
    WakerDrop,
}

/// One call of one of them: the first is number 1.
pub(super) type Position = (Function, usize);

#[derive(Default)]
struct State {
    calls: BTreeMap<Function, usize>,
    at: Option<Position>,
    active: bool,
    fired: bool,
}

#[derive(Clone, Default)]
pub(super) struct Faults(Arc<Mutex<State>>);

impl Faults {
    pub(super) fn at(position: Option<Position>) -> Self {
        let faults = Self::default();
        faults.state(|state| state.at = position);
        faults
    }

    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Calls count, and panic, from now on or no longer.
    pub(super) fn activate(&self, active: bool) {
        self.state(|state| state.active = active);
    }

    pub(super) fn calls(&self) -> BTreeMap<Function, usize> {
        self.state(|state| state.calls.clone())
    }

    pub(super) fn fired(&self) -> bool {
        self.state(|state| state.fired)
    }

    pub(super) fn visit(&self, function: Function) {
        let fires = self.state(|state| {
            if !state.active {
                return false;
            }
            let calls = state.calls.entry(function).or_default();
            *calls += 1;
            let fires = state.at == Some((function, *calls));
            state.fired |= fires;
            fires
        });
        if fires {
            panic_quietly("injected");
        }
    }
}

/// Part of something whose drop counts as a call.
struct Bomb(Faults, Function);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.visit(self.1);
    }
}

pub(super) struct Key {
    id: u8,
    bomb: Bomb,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bomb.0.visit(Function::Hash);
        self.id.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.bomb.0.visit(Function::Eq);
        self.id == other.id
    }
}

impl Eq for Key {}

/// What callers give for a key.
pub(super) struct Spelling(pub(super) u8, pub(super) Faults);

impl From<Spelling> for Key {
    fn from(Spelling(id, faults): Spelling) -> Self {
        faults.visit(Function::IntoKey);
        Self { id, bomb: Bomb(faults, Function::KeyDrop) }
    }
}

pub(super) fn describe(key: &Key) -> String {
    key.bomb.0.visit(Function::Describe);
    key.id.to_string()
}

pub(super) struct Hashers(pub(super) Faults);

impl BuildHasher for Hashers {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        self.0.visit(Function::BuildHasher);
        DefaultHasher::new()
    }
}

/// A value or an error.
pub(super) struct Thing(Bomb, Function);

impl Thing {
    pub(super) fn value(faults: &Faults) -> Self {
        Self(Bomb(faults.clone(), Function::ValueDrop), Function::ValueClone)
    }

    pub(super) fn error(faults: &Faults) -> Self {
        Self(Bomb(faults.clone(), Function::ErrorDrop), Function::ErrorClone)
    }
}

impl Clone for Thing {
    fn clone(&self) -> Self {
        self.0.0.visit(self.1);
        Self(Bomb(self.0.0.clone(), self.0.1), self.1)
    }
}

pub(super) type WorkOutput = Result<Thing, Thing>;

/// Ends when its gate opens.
pub(super) struct Working {
    faults: Faults,
    gate: Pin<Box<dyn Future<Output = ()> + Send>>,
    fails: bool,
    #[expect(dead_code, reason = "they are there to be dropped")]
    bombs: [Bomb; 2],
}

impl Future for Working {
    type Output = WorkOutput;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<WorkOutput> {
        self.faults.visit(Function::Poll);
        ready!(self.gate.as_mut().poll(cx));
        Poll::Ready(if self.fails { Err(Thing::error(&self.faults)) } else { Ok(Thing::value(&self.faults)) })
    }
}

pub(super) fn work(faults: &Faults, gate: &Gate, fails: bool) -> impl FnOnce() -> Working + Send + use<> {
    let (faults, gate) = (faults.clone(), gate.pass());
    let bomb = Bomb(faults.clone(), Function::ClosureDrop);
    move || {
        faults.visit(Function::Closure);
        let bombs = [bomb, Bomb(faults.clone(), Function::FutureDrop)];
        Working { faults, gate: Box::pin(gate), fails, bombs }
    }
}

struct Waking(Bomb);

impl Wake for Waking {
    fn wake(self: Arc<Self>) {
        self.0.0.visit(Function::Wake);
    }
}

pub(super) fn waker(faults: &Faults) -> Waker {
    Waker::from(Arc::new(Waking(Bomb(faults.clone(), Function::WakerDrop))))
}
