//! A shard kept busy, so that it takes nothing until it is freed.

use std::{
    any::Any,
    hash::{Hash, Hasher},
    pin::Pin,
    thread::{self, JoinHandle},
};

use futures::executor::block_on;
use shardflight::{Handle, JoinError};

use crate::support::{Count, Gate, Opener, Wall, assert_pending, eventually_blocking, poll_once};

/// A key whose comparison blocks its thread, if it has a wall.
pub(crate) struct SlowKey {
    id: i32,
    wall: Option<(Wall, Count)>,
    #[expect(dead_code, reason = "it is there to be dropped")]
    held: Option<Box<dyn Any + Send>>,
}

impl SlowKey {
    pub(crate) fn new(id: i32) -> Self {
        Self { id, wall: None, held: None }
    }

    /// Holds something that tells of its drop, or makes it a hostile one.
    pub(crate) fn holding(id: i32, held: impl Any + Send) -> Self {
        Self { id, wall: None, held: Some(Box::new(held)) }
    }

    /// Counts its comparisons, and blocks in each.
    pub(crate) fn walled(id: i32, wall: Wall, comparisons: Count) -> Self {
        Self { id, wall: Some((wall, comparisons)), held: None }
    }
}

impl PartialEq for SlowKey {
    fn eq(&self, other: &Self) -> bool {
        for (wall, comparisons) in [self, other].into_iter().filter_map(|key| key.wall.as_ref()) {
            comparisons.up();
            wall.block();
        }
        self.id == other.id
    }
}

impl Eq for SlowKey {}

impl Hash for SlowKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

type Join = Pin<Box<dyn Future<Output = Result<i32, JoinError>> + Send>>;

/// Compares two keys until it is freed, on the shard's own thread or on that of a caller. Needs a runtime that runs on
/// other threads than the test.
pub(crate) struct BusyShard {
    gate: Gate,
    leader: Join,
    follower: JoinHandle<Join>,
    opener: Opener,
}

impl BusyShard {
    /// Counts as two joins that share one execution. Takes the key 0.
    pub(crate) fn of(handle: &Handle<SlowKey, i32>) -> Self {
        let (gate, (wall, opener), comparisons) = (Gate::new(), Wall::new(), Count::default());
        let mut leader: Join = Box::pin(handle.join(SlowKey::new(0), gate.then(0)));
        assert_pending(&mut leader);
        block_on(handle.stats()).expect("the shard is there");
        let key = SlowKey::walled(0, wall, comparisons.clone());
        let mut follower: Join = Box::pin(handle.join(key, gate.then(0)));
        let follower = thread::spawn(move || {
            let _ = poll_once(&mut follower);
            follower
        });
        eventually_blocking(|| comparisons.get() > 0);
        Self { gate, leader, follower, opener }
    }

    /// Returns when both joins have their answers.
    pub(crate) fn free(self) {
        drop(self.opener);
        let follower = self.follower.join().expect("no panic");
        self.gate.open();
        for join in [self.leader, follower] {
            block_on(join).expect("an answer");
        }
    }
}
