//! Which flights wait for which, so that work that would wait for itself is told (G12).
//!
//! A join that is polled by the work of a flight makes that flight wait for the one that it joined, in whichever coalescer
//! that is. All such waits of the process are in one [`Graph`], which is owned by moving it, as a shard is: each change goes
//! into a queue, and the thread that finds the graph in its cell makes all that is queued. A join that no work polls has
//! nothing to do with it.
//!
//! A join's answer never depends on the graph. If another thread has it, the join learns later whether it closed a cycle.

mod graph;

use std::{
    sync::{Arc, atomic::Ordering},
    task::Waker,
};

pub(crate) use self::graph::Node;
use self::graph::{Graph, Wait};
use crate::{
    serial::{Handler, Serial},
    sync::{AtomicU8, AtomicWaker, run_on_its_own_thread},
    unwind::{Deferred, drop_contained},
};

/// The graph of a process; in tests under Shuttle, of one execution.
pub(crate) type WaitGraph = Serial<Graph>;

pub(crate) enum Change {
    Begin(Wait, Arc<Verdict>),
    /// With the verdict of its beginning, as a wait that closed a cycle was never added.
    End(Wait, Arc<Verdict>),
}

/// What became of one wait.
pub(crate) struct Verdict {
    state: AtomicU8,
    /// Its join's, for where another thread finds the cycle.
    waker: AtomicWaker,
}

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

    /// No flight's work waits for another flight.
    #[cfg(all(test, shardflight_shuttle))]
    pub(crate) fn is_empty(&self) -> bool {
        self.at_rest(Graph::is_empty) == Some(true)
    }
}

impl Handler for Graph {
    type Message = Change;
    /// The verdict of a wait that has closed a cycle.
    type Effect = Arc<Verdict>;
    type Outside = ();

    fn handle(&mut self, change: Change, closed: &mut Vec<Arc<Verdict>>) {
        closed.extend(change.make(self));
    }

    fn carry_out((): &(), closed: Vec<Arc<Verdict>>) {
        closed.iter().for_each(|verdict| verdict.tell());
    }
}

impl Change {
    /// The verdict comes back if a cycle is to be told of.
    fn make(self, graph: &mut Graph) -> Option<Arc<Verdict>> {
        match self {
            Self::Begin(wait, verdict) => {
                let state = if graph.add(wait).is_ok() { ADDED } else { CLOSES_CYCLE };
                // Relaxed: other changes read it with the graph in hand, and a join after `AtomicWaker` has ordered the two.
                verdict.state.store(state, Ordering::Relaxed);
                (state == CLOSES_CYCLE).then_some(verdict)
            }
            Self::End(wait, verdict) => {
                if verdict.state.load(Ordering::Relaxed) == ADDED {
                    graph.remove(wait);
                }
                None
            }
        }
    }
}

impl Verdict {
    /// A waker is user code, and concerns another caller than this thread's: nearly always the cycle is found by the thread
    /// that closes it, which finds no waker here.
    fn tell(&self) {
        if let Some(waker) = self.waker.take() {
            // Where no thread is to be had, it is woken here: that is where the closure is dropped then.
            let wake = Deferred::wake(waker);
            run_on_its_own_thread(move || drop(wake));
        }
    }
}

/// A join by which one flight waits for another. Once it is dropped, it does not.
pub(crate) struct Waiting {
    graph: Arc<WaitGraph>,
    by: Node,
    awaited: Awaited,
    /// What the flight that was joined waits for itself, as its work has not begun.
    beyond: Option<Awaited>,
}

struct Awaited {
    flight: Node,
    verdict: Arc<Verdict>,
}

impl Waiting {
    pub(crate) fn begin(graph: &Arc<WaitGraph>, waiting: Node, awaited: Node, beyond: Option<Node>) -> Self {
        let wait = |awaited| {
            let verdict = Arc::new(Verdict { state: AtomicU8::new(QUEUED), waker: AtomicWaker::new() });
            graph.post(Change::Begin(Wait { waiting, awaited }, Arc::clone(&verdict)));
            Awaited { flight: awaited, verdict }
        };
        Self { graph: Arc::clone(graph), by: waiting, awaited: wait(awaited), beyond: beyond.map(wait) }
    }

    fn awaited(&self) -> impl Iterator<Item = &Awaited> {
        [&self.awaited].into_iter().chain(&self.beyond)
    }

    /// The flight that waits.
    pub(crate) fn waiting(&self) -> Node {
        self.by
    }

    /// Whether it closed a cycle, as far as is known. If it turns out to, this waker is woken.
    pub(crate) fn closes_cycle(&self, waker: &Waker) -> bool {
        self.awaited().any(|Awaited { verdict, .. }| {
            let state = || verdict.state.load(Ordering::Relaxed);
            if state() == QUEUED {
                verdict.waker.register(waker);
            }
            state() == CLOSES_CYCLE
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        for Awaited { flight, verdict } in self.awaited() {
            // Here, and not where another thread drops the last share, which has the graph: it is user code.
            drop_contained(verdict.waker.take());
            let wait = Wait { waiting: self.by, awaited: *flight };
            self.graph.post(Change::End(wait, Arc::clone(verdict)));
        }
    }
}

#[cfg(all(test, not(shardflight_shuttle)))]
mod tests {
    use super::*;
    use crate::shard::FlightId;

    fn begin(graph: &Arc<WaitGraph>, waiting: usize, awaited: usize) -> Waiting {
        let node = |number| Node { coalescer: 0, flight: FlightId::first_of(number) };
        Waiting::begin(graph, node(waiting), node(awaited), None)
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
    fn what_waits_in_the_queue_is_added_by_the_next_and_its_join_is_woken_if_it_closes_a_cycle() {
        struct Told(std::sync::mpsc::Sender<()>);
        impl std::task::Wake for Told {
            fn wake(self: Arc<Self>) {
                let _ = self.0.send(());
            }
        }
        let graph = Serial::new(Graph::default(), ());
        let _first = begin(&graph, 1, 0);
        let (told, is_told) = std::sync::mpsc::channel();
        let second = graph.while_out(|| {
            let second = begin(&graph, 0, 1);
            assert!(!second.closes_cycle(&Waker::from(Arc::new(Told(told)))), "not known yet");
            second
        });
        let _third = begin(&graph, 2, 3);
        assert_eq!(is_told.recv_timeout(std::time::Duration::from_secs(30)), Ok(()));
        assert!(second.closes_cycle(Waker::noop()));
    }
}
