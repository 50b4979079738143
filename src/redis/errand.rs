//! Commands that go on though their flight doesn't wait for them.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::runtime::Handle as Runtime;

use super::within::within;

/// As many may go on beside each other. What is beyond is dropped, and what it would have given back ends by itself.
const MOST: usize = 1 << 10;

/// How many go on.
#[derive(Clone, Debug, Default)]
pub(super) struct Errands(Arc<AtomicUsize>);

/// A command and what follows from its answer. If this is dropped before that, as the flight waits no longer or is gone, it goes on in
/// a task of its own: a command that may have been sent can't be taken back, so its answer has to be heard.
pub(super) struct Errand<T: Send + 'static> {
    running: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    is_abandoned: Arc<AtomicBool>,
    at_most: Duration,
    errands: Errands,
}

impl<T: Send + 'static> Errand<T> {
    /// `run` is given a flag that says, once there is an answer, whether anybody hears it.
    pub(super) fn new<F>(errands: &Errands, at_most: Duration, run: impl FnOnce(Arc<AtomicBool>) -> F) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let is_abandoned = Arc::new(AtomicBool::new(false));
        let running: Pin<Box<dyn Future<Output = T> + Send>> = Box::pin(run(Arc::clone(&is_abandoned)));
        Self { running: Some(running), is_abandoned, at_most, errands: errands.clone() }
    }

    /// Its outcome, if it has one by then.
    pub(super) async fn within(mut self, limit: Duration) -> Option<T> {
        let running = self.running.as_mut()?;
        let output = within(limit, running).await?;
        self.running = None;
        Some(output)
    }
}

impl<T: Send + 'static> Drop for Errand<T> {
    fn drop(&mut self) {
        let (Some(running), Ok(runtime)) = (self.running.take(), Runtime::try_current()) else { return };
        self.is_abandoned.store(true, Ordering::Relaxed);
        if self.errands.0.fetch_add(1, Ordering::Relaxed) >= MOST {
            self.errands.0.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let counted = Counted(self.errands.clone());
        let at_most = self.at_most;
        runtime.spawn(async move {
            let _counted = counted;
            within(at_most, running).await;
        });
    }
}

struct Counted(Errands);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
