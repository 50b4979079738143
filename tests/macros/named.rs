//! Coalescers that the user names.

use std::sync::{Arc, LazyLock};

use shardflight::{Coalescer, Handle, JoinError, coalesce};
use tokio::task::yield_now;

use crate::{
    results::Failure,
    support::{Gate, limited, until},
};

#[test]
fn a_static_handle_shares_with_direct_joins() {
    static FLIGHTS: LazyLock<Handle<String, u32>> = LazyLock::new(|| Coalescer::new().handle());

    #[coalesce(in = "FLIGHTS", skip(gate))]
    async fn load(name: &str, gate: Gate) -> u32 {
        gate.pass().await;
        u32::try_from(name.len()).unwrap()
    }

    // The only runtime that uses the static; other tests have runtimes of their own.
    tokio::runtime::Runtime::new().unwrap().block_on(limited(async {
        let gate = Gate::new();
        let call = tokio::spawn(load("ada", gate.clone()));
        until(&FLIGHTS, |stats| stats.waiters == 1).await;
        let direct = tokio::spawn(FLIGHTS.join("ada", || async { 0 }));
        until(&FLIGHTS, |stats| stats.waiters == 2).await;
        assert_eq!(load_stats().await.waiters, 2);
        assert!(load_forget("ada", gate.clone()).await);
        gate.open();
        assert_eq!((call.await.unwrap(), direct.await.unwrap().unwrap()), (3, 3));
    }));
}

#[tokio::test]
async fn an_argument_may_be_the_coalescer() {
    #[coalesce(in = "flights", skip(flights))]
    async fn load(id: u64, flights: &Handle<u64, Result<u64, Failure>>) -> Result<u64, Failure> {
        yield_now().await;
        Ok(id + flights.stats().await.unwrap().executions)
    }

    let flights = Coalescer::new().handle();
    let both = limited(async { tokio::join!(load(7, &flights), load(7, &flights)) }).await;
    assert_eq!((both.0.unwrap(), both.1.unwrap()), (8, 8));
    assert!(!load_forget(7, &flights).await);
}

#[tokio::test]
async fn expressions_may_lead_to_a_handle() {
    #[derive(Clone)]
    struct Service {
        coalescer: Arc<Coalescer<u32, u32>>,
        shared: Arc<Handle<u32, u32>>,
    }
    impl Service {
        #[coalesce(in = "self.coalescer.handle()")]
        async fn by_call(&self, id: u32) -> u32 {
            id
        }
        #[coalesce(in = self.shared)]
        async fn by_arc(&self, id: u32) -> u32 {
            id + 1
        }
    }

    let coalescer = Arc::new(Coalescer::new());
    let service = Service { shared: Arc::new(coalescer.handle()), coalescer };
    let call = tokio::spawn({
        let service = service.clone();
        async move { (service.by_call(7).await, service.by_arc(7).await) }
    });
    assert_eq!(limited(call).await.unwrap(), (7, 8));
    assert_eq!(service.by_arc_stats().await.joins, 2);
}

#[tokio::test]
async fn a_named_coalescer_is_not_replaced() {
    #[coalesce(in = "flights", skip(flights))]
    async fn load(id: u32, flights: &Handle<u32, Result<u32, Failure>>) -> Result<u32, Failure> {
        drop(flights.clone());
        Ok(id)
    }

    let coalescer = Coalescer::new();
    let flights = coalescer.handle();
    coalescer.shutdown(std::time::Duration::ZERO).await;
    assert!(matches!(limited(load(7, &flights)).await, Err(Failure::NoAnswer(JoinError::Closed))));
    assert!(!load_forget(7, &flights).await);
}
