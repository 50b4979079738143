//! Windows smaller than the process, on machines that are made up.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use shardflight::{Coalescer, Handle, Scope, Topology};

use crate::support::{Gate, embark, limited, until};

/// A machine whose calling thread is on whatever core the test says.
#[derive(Clone, Default)]
struct Pretended {
    nodes: Vec<usize>,
    core: Arc<AtomicUsize>,
}

impl Pretended {
    /// Four cores on two nodes.
    fn machine() -> Self {
        Self { nodes: vec![0, 0, 1, 1], core: Arc::default() }
    }

    fn run_on(&self, core: usize) {
        self.core.store(core, Ordering::SeqCst);
    }
}

impl Topology for Pretended {
    fn nodes(&self) -> Result<Vec<usize>, String> {
        if self.nodes.is_empty() { Err("nobody knows".to_owned()) } else { Ok(self.nodes.clone()) }
    }

    fn current_core(&self) -> Option<usize> {
        Some(self.core.load(Ordering::SeqCst))
    }
}

fn scoped(scope: Scope, machine: &Pretended) -> Handle<u32, usize> {
    Coalescer::builder().shards(2).scope(scope).topology(machine.clone()).build().unwrap().handle()
}

/// How many executions a join from each core makes.
async fn executions(handle: &Handle<u32, usize>, machine: &Pretended) -> u64 {
    let gate = Gate::new();
    let mut joins = Vec::new();
    for core in 0..4 {
        machine.run_on(core);
        let passed = gate.pass();
        let mut join = handle.join(7_u32, move || async move {
            passed.await;
            core
        });
        embark(&mut join);
        joins.push(join);
    }
    let stats = until(handle, |stats| stats.waiters == 4).await;
    gate.open();
    for join in joins {
        join.await.unwrap();
    }
    stats.executions
}

#[tokio::test]
async fn each_scope_has_windows_of_its_own() {
    limited(async {
        for (scope, domains) in [(Scope::PerProcess, 1), (Scope::PerNuma, 2), (Scope::PerCore, 4)] {
            let machine = Pretended::machine();
            let handle = scoped(scope, &machine);
            assert_eq!(executions(&handle, &machine).await, domains, "{scope:?}");
            assert_eq!(handle.stats().await.unwrap().per_shard().len() as u64, 2 * domains, "{scope:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_caller_that_moves_to_another_core_leaves_where_it_came() {
    limited(async {
        let machine = Pretended::machine();
        let handle = scoped(Scope::PerCore, &machine);
        let mut join = handle.join(7_u32, std::future::pending);
        embark(&mut join);
        until(&handle, |stats| stats.waiters == 1).await;
        machine.run_on(3);
        drop(join);
        until(&handle, |stats| stats.departures == 1 && stats.waiters == 0).await;
    })
    .await;
}

#[tokio::test]
async fn forgetting_reaches_every_domain_from_any_core() {
    limited(async {
        let machine = Pretended::machine();
        let handle = scoped(Scope::PerCore, &machine);
        let mut joins = Vec::new();
        for core in 0..3 {
            machine.run_on(core);
            let mut join = handle.join(7_u32, std::future::pending);
            embark(&mut join);
            joins.push(join);
        }
        machine.run_on(3);
        assert!(handle.forget(7_u32).await.unwrap());
        assert_eq!(handle.stats().await.unwrap().forgets, 3);
        assert!(!handle.forget(7_u32).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_machine_that_cannot_tell_is_one_domain() {
    limited(async {
        let machine = Pretended::default();
        let handle = scoped(Scope::PerNuma, &machine);
        assert_eq!(executions(&handle, &machine).await, 1);
        assert_eq!(handle.stats().await.unwrap().per_shard().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn the_machine_that_this_runs_on_can_be_scoped() {
    limited(async {
        for scope in [Scope::PerCore, Scope::PerNuma] {
            let handle = Coalescer::<u32, u32>::builder().scope(scope).build().unwrap().handle();
            assert_eq!(handle.join(7_u32, || async { 7 }).await.unwrap(), 7);
        }
    })
    .await;
}
