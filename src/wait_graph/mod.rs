//! Which flights wait for which, so that work that would wait for itself is told (G12).
//!
//! A join that is polled by the work of a flight makes that flight wait for the one that it joined, in whichever coalescer
//! that is. All such waits of the process are in one [`Graph`], which is owned by moving it, as a shard is: each change goes
//! into a queue, and the thread that finds the graph in its cell makes all that is queued. A join that no work polls has
//! nothing to do with it.
//!
//! A join's answer never depends on the graph. If another thread has it, the join is polled again until that thread has added its wait.
//! So its runtime is never idle meanwhile: one whose clock is paused would move on to the next timer, and a deadline come first. The
//! other thread has a few changes to make, and runs nothing of the user's.

mod graph;

use std::{
    sync::{Arc, atomic::Ordering},
    task::Waker,
};

pub(crate) use self::graph::Node;
use self::graph::{Graph, Wait};
use crate::{
    serial::{Handler, Serial},
    sync::AtomicU8,
};

/// The graph of a process; in tests under Shuttle, of one execution.
pub(crate) type WaitGraph = Serial<Graph>;

pub(crate) enum Change {
    Begin(Wait, Verdict),
    /// With the verdict of its beginning, as a wait that closed a cycle was never added.
    End(Wait, Verdict),
    /// Of all joins that made the one flight wait for the other.
    EndAll(Wait),
}

/// What became of one wait: one of the three below.
type Verdict = Arc<AtomicU8>;

/// Not in the graph yet.
const QUEUED: u8 = 0;
const ADDED: u8 = 1;
const CLOSES_CYCLE: u8 = 2;

impl WaitGraph {
    /// The one of this process.
    #[cfg(not(shardflight_shuttle))]
    pub(crate) fn of_the_process() -> Arc<Self> {
        static GRAPH: std::sync::LazyLock<Arc<WaitGraph>> =
            std::sync::LazyLock::new(|| Serial::new(Graph::default(), ()));
        Arc::clone(&GRAPH)
    }

    /// The one of this execution, which has one coalescer.
    #[cfg(shardflight_shuttle)]
    pub(crate) fn of_the_process() -> Arc<Self> {
        Serial::new(Graph::default(), ())
    }

    /// The one flight waits for the other no longer, whichever joins said so: its work has begun.
    pub(crate) fn end_all(self: &Arc<Self>, waiting: Node, awaited: Node) {
        self.post(Change::EndAll(Wait { waiting, awaited }));
    }

    /// No flight's work waits for another flight.
    #[cfg(all(test, shardflight_shuttle))]
    pub(crate) fn is_empty(&self) -> bool {
        self.at_rest(Graph::is_empty) == Some(true)
    }
}

impl Handler for Graph {
    type Message = Change;
    type Effect = ();
    type Outside = ();

    fn handle(&mut self, change: Change, _: &mut Vec<()>) {
        match change {
            Change::Begin(wait, verdict) => {
                let state = if self.add(wait).is_ok() { ADDED } else { CLOSES_CYCLE };
                // Relaxed: the join reads nothing else that this thread wrote, and other changes read it with the graph in hand.
                verdict.store(state, Ordering::Relaxed);
            }
            Change::End(wait, verdict) => {
                if verdict.load(Ordering::Relaxed) == ADDED {
                    self.remove(wait);
                }
            }
            Change::EndAll(wait) => self.remove_all(wait),
        }
    }

    fn carry_out((): &(), _: Vec<()>) {}
}

/// That one flight waits for another, on behalf of one join. Once it is dropped, it does not.
pub(crate) struct Waiting {
    graph: Arc<WaitGraph>,
    wait: Wait,
    verdict: Verdict,
}

impl Waiting {
    pub(crate) fn begin(graph: &Arc<WaitGraph>, waiting: Node, awaited: Node) -> Self {
        let (wait, verdict) = (Wait { waiting, awaited }, Verdict::new(AtomicU8::new(QUEUED)));
        graph.post(Change::Begin(wait, Arc::clone(&verdict)));
        Self { graph: Arc::clone(graph), wait, verdict }
    }

    /// The flight that waits.
    pub(crate) fn waiting(&self) -> Node {
        self.wait.waiting
    }

    pub(crate) fn awaited(&self) -> Node {
        self.wait.awaited
    }

    /// Whether it closed a cycle. If that isn't known yet, this waker is woken at once: what another thread that has the graph still
    /// does with it is less than it takes to be woken by that thread.
    pub(crate) fn closes_cycle(&self, waker: &Waker) -> bool {
        let state = self.verdict.load(Ordering::Relaxed);
        if state == QUEUED {
            waker.wake_by_ref();
        }
        state == CLOSES_CYCLE
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.graph.post(Change::End(self.wait, Arc::clone(&self.verdict)));
    }
}

#[cfg(all(test, not(shardflight_shuttle)))]
mod tests {
    use super::*;
    use crate::{engine::tests::Count, shard::FlightId};

    fn begin(graph: &Arc<WaitGraph>, waiting: usize, awaited: usize) -> Waiting {
        let node = |number| Node { coalescer: 0, flight: FlightId::first_of(number), is_pending: false };
        Waiting::begin(graph, node(waiting), node(awaited))
    }

    #[test]
    fn a_wait_that_closed_a_cycle_takes_no_other_along_when_it_ends() {
        let graph = Serial::new(Graph::default(), ());
        let opposite = begin(&graph, 1, 0);
        let refused = begin(&graph, 0, 1);
        assert!(refused.closes_cycle(Waker::noop()));
        drop(opposite);
        let again = begin(&graph, 0, 1);
        assert!(!again.closes_cycle(Waker::noop()));
        drop(refused);
        assert!(begin(&graph, 1, 0).closes_cycle(Waker::noop()), "the second wait is there");
    }

    #[test]
    fn a_join_whose_wait_is_in_the_queue_is_polled_until_it_knows_whether_it_closes_a_cycle() {
        let graph = Serial::new(Graph::default(), ());
        let _first = begin(&graph, 1, 0);
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let second = graph.while_out(|| {
            let second = begin(&graph, 0, 1);
            for polls in 1..4 {
                assert!(!second.closes_cycle(&waker), "not known yet");
                assert_eq!(count.0.load(Ordering::SeqCst), polls);
            }
            second
        });
        let third = begin(&graph, 2, 3);
        assert!(second.closes_cycle(&waker) && !third.closes_cycle(&waker));
        assert_eq!(count.0.load(Ordering::SeqCst), 3, "both are known");
    }
}
