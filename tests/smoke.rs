//! smoke
use shardflight::*;
use std::sync::{Arc, atomic::*};
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn smoke() {
    let c = Coalescer::<String, usize>::new();
    let n = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let mut js = vec![];
    for _ in 0..1000 {
        let h = c.handle();
        let n = n.clone();
        let g = gate.clone();
        js.push(tokio::spawn(h.join("a", move || async move {
            n.fetch_add(1, Ordering::SeqCst);
            let _ = g.acquire().await;
            7usize
        })));
    }
    while c.handle().stats().await.unwrap().waiters < 1000 {}
    println!("{:?}", c.handle().stats().await);
    for j in &js[..500] {
        j.abort();
    }
    while c.handle().stats().await.unwrap().departures < 500 {}
    gate.add_permits(1);
    for j in js.drain(500..) {
        assert_eq!(j.await.unwrap().unwrap(), 7);
    }
    assert_eq!(n.load(Ordering::SeqCst), 1);
    println!("{:?}", c.handle().stats().await);
    let e = c.handle().join("p", || async { panic!("boo {}", 1) }).await;
    println!("{}", e.unwrap_err());
}
