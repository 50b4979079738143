//! How many look, and whether the sampler runs: one word, so that there is one sampler while anyone looks, and none otherwise.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::shared::Shared;

/// Beside the count.
const RUNNING: usize = 1 << (usize::BITS - 1);

#[derive(Default)]
pub(super) struct Viewers(AtomicUsize);

impl Viewers {
    /// `None` if `most` are there already; otherwise whether the sampler has to be started.
    fn enter(&self, most: usize) -> Option<bool> {
        let enter = |state: usize| (state & !RUNNING < most).then_some((state + 1) | RUNNING);
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, enter).ok()?;
        Some(before & RUNNING == 0)
    }

    fn leave(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }

    /// The sampler ends, if still no page is open. Whatever it did before is seen by the next one.
    pub(super) fn stop_if_alone(&self) -> bool {
        self.0.compare_exchange(RUNNING, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The sampler ends with its runtime, whoever looks.
    pub(super) fn stop(&self) {
        self.0.fetch_and(!RUNNING, Ordering::AcqRel);
    }

    pub(super) fn are_there(&self) -> bool {
        self.0.load(Ordering::Acquire) & !RUNNING > 0
    }
}

/// One of them.
pub(super) struct Viewer(pub(super) Arc<Shared>);

impl Viewer {
    /// Starts the sampler, on the current runtime, for the first one. `None` if there are too many.
    pub(super) fn enter(shared: &Arc<Shared>) -> Option<Self> {
        let starts = shared.viewers.enter(shared.max_viewers)?;
        let viewer = Self(Arc::clone(shared));
        if starts {
            super::sampler::start(shared);
        }
        Some(viewer)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.0.viewers.leave();
    }
}
