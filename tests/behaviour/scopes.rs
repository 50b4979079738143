//! Scopes: windows that reach no further than a core or a node.

use std::{cell::Cell, future::pending, time::Duration};

use shardflight::{BuildError, Closed, Coalescer, Handle, JoinError, Machine, Scope, Topology};
use tokio::sync::oneshot;

use crate::support::{Count, assert_pending, at_rest, limited, returning, until};

thread_local! {
    static CORE: Cell<Option<usize>> = const { Cell::new(Some(0)) };
}

/// Four cores on two nodes with a gap in their numbers. The calling thread is on the core that the test says.
#[derive(Clone, Default)]
struct Fake {
    queries: Count,
    unknown: bool,
}

impl Topology for Fake {
    fn nodes(&self) -> Result<Vec<usize>, String> {
        self.queries.up();
        if self.unknown { Err("unknown".to_owned()) } else { Ok(vec![0, 0, 4, 4]) }
    }

    fn current_core(&self) -> Option<usize> {
        CORE.get()
    }
}

fn on_core(core: usize) {
    CORE.set(Some(core));
}

fn scoped(scope: Scope) -> Handle<i32, i32> {
    on_core(0);
    Coalescer::builder().shards(3).scope(scope).topology(Fake::default()).build().unwrap().handle()
}

type Waiting = std::pin::Pin<Box<dyn Future<Output = Result<i32, JoinError>>>>;

/// Two callers of the key on every core.
async fn callers_everywhere(handle: &Handle<i32, i32>) -> Vec<Waiting> {
    let mut joins: Vec<Waiting> = (0..8).map(|_| Box::pin(handle.join(1, pending)) as Waiting).collect();
    for (n, join) in joins.iter_mut().enumerate() {
        on_core(n % 4);
        assert_pending(join);
    }
    handle.stats().await.unwrap();
    joins
}

/// How many flights it takes to serve the key on every core.
async fn flights(handle: &Handle<i32, i32>) -> usize {
    let _waiting = callers_everywhere(handle).await;
    handle.stats().await.unwrap().flights
}

#[tokio::test]
async fn each_core_has_windows_of_its_own() {
    limited(async {
        let handle = scoped(Scope::PerCore);
        assert_eq!(flights(&handle).await, 4);
        assert_eq!(handle.stats().await.unwrap().per_shard().len(), 12);
    })
    .await;
}

#[tokio::test]
async fn each_node_has_windows_of_its_own() {
    limited(async {
        let handle = scoped(Scope::PerNuma);
        assert_eq!(flights(&handle).await, 2);
        assert_eq!(handle.stats().await.unwrap().per_shard().len(), 6);
    })
    .await;
}

#[tokio::test]
async fn the_process_has_one_window_by_default() {
    limited(async {
        assert_eq!(Scope::default(), Scope::PerProcess);
        on_core(0);
        let handle = Coalescer::builder().shards(3).topology(Fake::default()).build().unwrap().handle();
        assert_eq!(flights(&handle).await, 1);
        assert_eq!(handle.stats().await.unwrap().per_shard().len(), 3);
    })
    .await;
}

#[tokio::test]
async fn each_domain_has_its_own_shards() {
    limited(async {
        let handle = scoped(Scope::PerNuma);
        let mut joins: Vec<_> = (0..100).map(|key| handle.join(key, pending)).collect();
        on_core(3);
        joins.iter_mut().for_each(assert_pending);
        let stats = handle.stats().await.unwrap();
        let flights: Vec<_> = stats.per_shard().iter().map(|shard| shard.flights).collect();
        assert_eq!(flights[..3], [0, 0, 0]);
        assert!(flights[3..].iter().all(|flights| *flights > 0), "{flights:?}");
    })
    .await;
}

#[tokio::test]
async fn the_first_poll_chooses_the_core() {
    limited(async {
        let handle = scoped(Scope::PerCore);
        let mut join = handle.join(1, pending);
        on_core(2);
        assert_pending(&mut join);
        on_core(0);
        assert_pending(&mut join);
        let stats = handle.stats().await.unwrap();
        assert_eq!(stats.per_shard()[6..9].iter().map(|shard| shard.flights).sum::<usize>(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_forgotten_in_the_scopes_that_still_run_when_others_are_closed() {
    limited(async {
        on_core(1);
        let builder = Coalescer::<i32, i32>::builder().shards(1).scope(Scope::PerCore).topology(Fake::default());
        let coalescer = builder.build().unwrap();
        let (handle, (sender, flight)) = (coalescer.handle(), oneshot::channel());
        let inside = handle.clone();
        let mut join = handle.join(1, move || async move {
            let _ = sender.send(inside.current_flight().unwrap());
            pending().await
        });
        assert_pending(&mut join);
        let flight = flight.await.unwrap();
        on_core(0);
        // The first core's shard has no flight, and is closed at once.
        let mut shutdown = Box::pin(coalescer.shutdown(Duration::from_secs(60)));
        assert_pending(&mut shutdown);
        assert_eq!((handle.forget(1).await, flight.is_forgotten()), (Err(Closed), true));
    })
    .await;
}

#[tokio::test]
async fn a_caller_that_moved_leaves_its_own_flight() {
    limited(async {
        let handle = scoped(Scope::PerCore);
        let mut join = handle.join(1, pending);
        assert_pending(&mut join);
        until(&handle, |stats| stats.waiters == 1).await;
        on_core(3);
        drop(join);
        until(&handle, |stats| stats.departures == 1 && stats.waiters == 0).await;
    })
    .await;
}

#[tokio::test]
async fn an_unknown_core_is_served() {
    limited(async {
        let handle = scoped(Scope::PerCore);
        on_core(77);
        assert_eq!(handle.join(1, returning(7)).await.unwrap(), 7);
        CORE.set(None);
        assert_eq!(handle.join(1, returning(8)).await.unwrap(), 8);
    })
    .await;
}

#[tokio::test]
async fn forgetting_reaches_all_domains() {
    limited(async {
        let handle = scoped(Scope::PerCore);
        let _old = callers_everywhere(&handle).await;
        on_core(3);
        assert!(handle.forget(1).await.unwrap());
        assert!(!handle.forget(1).await.unwrap());
        assert!(!handle.forget(2).await.unwrap());
        let _new = callers_everywhere(&handle).await;
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.flights, stats.waiters, stats.forgets), (8, 16, 4));
        assert_eq!(handle.forget_all().await.unwrap(), 4);
    })
    .await;
}

#[tokio::test]
async fn the_flight_cap_spans_all_domains() {
    limited(async {
        let builder = Coalescer::<i32, i32>::builder().shards(1).scope(Scope::PerCore).topology(Fake::default());
        on_core(0);
        let handle = builder.max_flights(2).build().unwrap().handle();
        let mut joins = [handle.join(1, pending), handle.join(1, pending)];
        for (core, join) in joins.iter_mut().enumerate() {
            on_core(core);
            assert_pending(join);
        }
        handle.stats().await.unwrap();
        on_core(3);
        assert!(matches!(handle.join(1, pending).await, Err(JoinError::TooManyFlights { limit: 2 })));
    })
    .await;
}

#[tokio::test]
async fn wait_cycles_across_domains_are_found() {
    limited(async {
        let handle = scoped(Scope::PerCore);
        let (outer, inner) = (handle.clone(), handle.clone());
        let work = move || async move {
            on_core(1);
            let back = move || async move {
                on_core(0);
                i32::from(matches!(inner.join(1, pending).await, Err(JoinError::Reentrant)))
            };
            outer.join(2, back).await.unwrap()
        };
        assert_eq!(handle.join(1, work).await.unwrap(), 1);
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test]
async fn an_unknown_machine_is_one_domain() {
    limited(async {
        for (unknown, core) in [(true, Some(0)), (false, None)] {
            CORE.set(core);
            let topology = Fake { unknown, ..Fake::default() };
            let builder = Coalescer::<i32, i32>::builder().shards(3).scope(Scope::PerCore).topology(topology.clone());
            let handle = builder.build().unwrap().handle();
            assert_eq!(flights(&handle).await, 1);
            assert_eq!(handle.stats().await.unwrap().per_shard().len(), 3);
            assert_eq!(topology.queries.get(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn the_shard_limit_spans_all_domains() {
    on_core(0);
    let builder = Coalescer::<i32, i32>::builder().shards(2_000).scope(Scope::PerCore).topology(Fake::default());
    assert_eq!(builder.build().unwrap_err(), BuildError::TooManyShards { shards: 8_000, limit: 4_096 });
}

#[tokio::test]
async fn this_machine_is_served_in_every_scope() {
    limited(async {
        for scope in [Scope::PerProcess, Scope::PerCore, Scope::PerNuma] {
            let builder = || Coalescer::<i32, i32>::builder().scope(scope);
            for builder in [builder(), builder().shards(1).topology(Machine)] {
                let handle = builder.build().unwrap().handle();
                assert_eq!(handle.join(1, returning(7)).await.unwrap(), 7);
                assert!(!handle.forget(1).await.unwrap());
            }
        }
    })
    .await;
}
