//! The collector beside a model of few lines: random moves, with the rules checked after each.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::{Collector, Limits, Next, Queued};

#[derive(Clone, Debug)]
struct Key {
    number: usize,
    is_gone: Rc<Cell<bool>>,
    /// The batches whose loaders wait for it, with the numbers of their loads.
    inner: Rc<RefCell<Vec<(u64, u64)>>>,
}

impl Queued for Key {
    fn is_gone(&self) -> bool {
        self.is_gone.get()
    }
}

#[derive(Clone, Debug)]
enum Move {
    Ask,
    /// By the loader of one of the batches that run: for a new key, or for one that waits already.
    AskInside(usize, Option<usize>),
    /// One of those that wait leaves, and tells of it now or with the next move.
    Leave(usize, bool),
    /// One of the batches that run ends.
    End(usize),
    /// Time passes.
    Pass(u64),
    /// The dispatcher looks.
    Look,
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        6 => Just(Move::Ask),
        1 => (any::<usize>(), any::<Option<usize>>()).prop_map(|(by, key)| Move::AskInside(by, key)),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(which, now)| Move::Leave(which, now)),
        2 => any::<usize>().prop_map(Move::End),
        1 => (0..5_u64).prop_map(Move::Pass),
        6 => Just(Move::Look),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    (1..6_usize, 1..6_usize, 1..4_usize, prop_oneof![Just(0), 1..6_u64]).prop_map(|(most, least, batches, window)| {
        Limits {
            max_batch: most,
            min_batch: least.min(most),
            max_concurrent: batches,
            window: Duration::from_millis(window),
        }
    })
}

/// By a number that is any.
fn nth<T>(all: impl ExactSizeIterator<Item = T>, number: usize) -> Option<T> {
    let len = all.len().max(1);
    { all }.nth(number % len)
}

struct World {
    /// A refusal is told by the number of its load.
    collector: Collector<Key, u64>,
    limits: Limits,
    now: Instant,
    asked: usize,
    /// In the order of asking, those that are gone included until they are seen to be.
    waiting: VecDeque<Key>,
    untold: usize,
    /// With the number of loads that its loader waits for.
    running: BTreeMap<u64, usize>,
    batches: u64,
    loads: u64,
}

impl World {
    fn new(limits: Limits) -> Self {
        let (collector, now) = (Collector::new(limits), Instant::now());
        Self {
            collector,
            limits,
            now,
            asked: 0,
            waiting: VecDeque::new(),
            untold: 0,
            running: BTreeMap::new(),
            batches: 0,
            loads: 0,
        }
    }

    fn ask(&mut self) -> Key {
        let key = Key { number: self.asked, is_gone: Rc::default(), inner: Rc::default() };
        self.asked += 1;
        self.waiting.push_back(key.clone());
        let now = self.now;
        self.collector.ask(key.clone(), || now);
        key
    }

    fn ask_inside(&mut self, by: usize, known: Option<usize>) {
        let Some(batch) = nth(self.running.keys(), by).copied() else { return };
        self.loads += 1;
        *self.running.get_mut(&batch).unwrap() += 1;
        self.collector.inner_began(batch, self.loads, self.loads);
        let known = known.and_then(|known| nth(self.live().iter(), known).cloned());
        let key = known.unwrap_or_else(|| self.ask());
        key.inner.borrow_mut().push((batch, self.loads));
    }

    /// Those that wait for it are told.
    fn answered(&mut self, key: &Key) {
        for (batch, load) in key.inner.take() {
            self.inner_over(batch);
            self.collector.inner_ended(load);
        }
    }

    fn inner_over(&mut self, batch: u64) {
        *self.running.get_mut(&batch).expect("it waits") -= 1;
    }

    /// A refused load leaves its key, which may be others' as well.
    fn is_stuck(&self) -> bool {
        self.running.len() == self.limits.max_concurrent && self.running.values().all(|inner| *inner > 0)
    }

    fn refused(&mut self, load: u64) {
        assert!(self.is_stuck(), "a batch can end");
        let key = self.waiting.iter().find(|key| key.inner.borrow().iter().any(|(_, other)| *other == load));
        let key = key.expect("what loads wait for is in the queue").clone();
        let batch = key.inner.borrow().iter().find(|(_, other)| *other == load).unwrap().0;
        key.inner.borrow_mut().retain(|(_, other)| *other != load);
        self.inner_over(batch);
        self.collector.inner_ended(load);
    }

    fn tell_departures(&mut self) {
        for _ in 0..std::mem::take(&mut self.untold) {
            let gone = self.collector.left();
            assert!(gone.iter().all(Key::is_gone), "a key that is waited for is thrown away");
        }
    }

    fn make(&mut self, next: &Move) {
        match *next {
            Move::Ask => drop(self.ask()),
            Move::AskInside(by, known) => self.ask_inside(by, known),
            Move::Leave(which, now) => {
                if let Some(key) = nth(self.live().iter(), which) {
                    key.is_gone.set(true);
                    self.untold += 1;
                    self.answered(key);
                }
                if now {
                    self.tell_departures();
                }
            }
            Move::End(which) => self.end(which),
            Move::Pass(by) => self.now += Duration::from_millis(by),
            Move::Look => self.look(),
        }
        assert!(self.collector.queued() >= self.live().len(), "a key is overlooked");
        assert_eq!(self.collector.running(), self.running.len());
    }

    fn live(&self) -> Vec<Key> {
        self.waiting.iter().filter(|key| !key.is_gone()).cloned().collect()
    }

    fn end(&mut self, which: usize) {
        // A loader ends when what it asked for has its answer.
        let able: Vec<_> = self.running.iter().filter(|(_, inner)| **inner == 0).map(|(batch, _)| *batch).collect();
        if let Some(&batch) = nth(able.iter(), which) {
            self.running.remove(&batch);
            self.collector.ended(batch);
        }
    }

    fn look(&mut self) {
        let mut settled = 0;
        loop {
            let (now, mut gone) = (self.now, Vec::new());
            let next = self.collector.next(|| now, &mut gone);
            assert!(gone.iter().all(Key::is_gone));
            match next {
                Next::Wait => break self.check_wait(),
                Next::Settle => {
                    settled += 1;
                    assert!(settled <= 100, "it never begins");
                }
                Next::Until(at) if self.is_stuck() => {
                    assert!(at > now);
                    self.now = at;
                }
                Next::Until(at) => {
                    assert!(at > now && !self.limits.window.is_zero() && self.live().len() < self.limits.max_batch);
                    break;
                }
                Next::Dispatch(batch) => self.dispatch(&batch),
                Next::Refuse(load) => self.refused(load),
            }
        }
    }

    fn dispatch(&mut self, batch: &[Key]) {
        assert!(!batch.is_empty() && batch.len() <= self.limits.max_batch);
        assert!(self.running.len() < self.limits.max_concurrent);
        for key in batch {
            assert!(!key.is_gone(), "no caller waits for it");
            let first = std::iter::from_fn(|| self.waiting.pop_front()).find(|key| !key.is_gone());
            assert_eq!(first.map(|key| key.number), Some(key.number), "first come, first served");
            self.answered(key);
        }
        self.batches += 1;
        self.running.insert(self.batches, 0);
        self.collector.began(self.batches);
    }

    /// Nothing may wait that could begin.
    fn check_wait(&self) {
        let (live, running) = (self.live().len(), self.running.len());
        let may_end = self.running.values().filter(|inner| **inner == 0).count();
        assert!(may_end > 0 || running < self.limits.max_concurrent || live == 0, "nothing can ever begin");
        let may_begin = running < self.limits.max_concurrent
            && live > 0
            && (may_end == 0 || live >= self.limits.min_batch || live >= self.limits.max_batch);
        assert!(!may_begin, "{live} keys wait beside {running} batches of {:?}", self.limits);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_key_is_in_one_batch_in_its_turn_and_within_the_limits(
        limits in limits(), moves in prop::collection::vec(moves(), 0..60),
    ) {
        let mut world = World::new(limits);
        moves.iter().for_each(|next| world.make(next));
        // Whatever has happened, all that still wait get their turn.
        world.tell_departures();
        for _ in 0..=world.asked {
            world.now += Duration::from_secs(1);
            world.look();
            world.end(0);
        }
        prop_assert_eq!((world.live().len(), world.collector.queued()), (0, 0));
        prop_assert!(world.collector.queue.is_empty() && world.collector.gone == 0);
    }
}

#[test]
fn keys_that_left_are_thrown_away_before_their_turn() {
    let limits = Limits { max_batch: 10, min_batch: 1, max_concurrent: 1, window: Duration::ZERO };
    let mut collector = Collector::<_, ()>::new(limits);
    collector.began(7);
    let keys: Vec<_> = (0..100).map(|number| Key { number, is_gone: Rc::default(), inner: Rc::default() }).collect();
    keys.iter().for_each(|key| collector.ask(key.clone(), Instant::now));
    let mut thrown_away = 0;
    for key in &keys[..99] {
        key.is_gone.set(true);
        thrown_away += collector.left().len();
        assert!(collector.queue.len() <= 2 * collector.queued() + super::LEAST_GONE);
    }
    assert!(thrown_away > 60);
    assert_eq!(collector.queued(), 1);
}
