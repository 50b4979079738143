//! Works are counted when they are called (G14).

use super::*;

#[tokio::test]
async fn work_counts_once_and_when_it_is_called() {
    let engine = engine();
    let (_, record) = lead(&engine, 1);
    let completer = Completer::new(Arc::clone(&engine), Arc::clone(&record));
    let work = AsyncWork::<_, ByClone>::new(std::future::pending::<u8>).into_future();
    let mut execution = Box::pin(task::execution(completer, work));
    assert_eq!((stats(&engine).executions, stats(&engine).pending), (0, 1), "it was not polled");
    for _ in 0..3 {
        assert!(execution.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!((stats(&engine).executions, stats(&engine).pending), (1, 0));
    }
}

#[tokio::test]
async fn a_reset_counts_no_calls_of_older_flights() {
    let engine = engine();
    let mut executions: Vec<_> = (1..3)
        .map(|key| {
            let completer = Completer::new(Arc::clone(&engine), lead(&engine, key).1);
            let work = AsyncWork::<_, ByClone>::new(std::future::pending::<u8>).into_future();
            let reset = |state: &mut State<u8, u8>| state.reset_stats();
            engine.visit(0, reset).expect("the shard is in");
            Box::pin(task::execution(completer, work))
        })
        .collect();
    let (_, record) = lead(&engine, 3);
    Completer::new(Arc::clone(&engine), record).call();
    for execution in &mut executions {
        assert!(execution.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let stats = stats(&engine);
    assert_eq!((stats.executions, stats.joins, stats.pending), (1, 1, 0));
}
