//! The one task that reads all coalescers once per tick, while a page is open.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::join_all};
use serde_json::json;
use tokio::time::timeout;

use super::{
    panel,
    recorder::{Answered, Recorder},
    shared::{Frame, Shared, Watched},
    source::{Answer, Reading},
};
use crate::{
    error::Closed,
    sync::{Runtime, boxed_task, now, sleep},
    unwind::{catch, drop_contained},
};

/// How often it looks whether all coalescers have stopped, and whether no page is open.
const LOOK: Duration = Duration::from_millis(100);
/// How long a coalescer may take to answer.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) type Signal = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is kept between two runs of the task.
pub(super) struct Sampler {
    sampled: Option<Instant>,
    frames: u64,
    /// In the order of the coalescers.
    slots: Vec<Slot>,
    /// `None` also once it has come.
    signal: Option<Signal>,
    /// The last frame is published.
    has_ended: bool,
}

#[derive(Default)]
struct Slot {
    recorder: Recorder,
    /// A question that has no answer yet. It isn't put again, or a shard that is stuck would be left ever more of them.
    asked: Option<Answer<Reading>>,
}

impl Sampler {
    pub(super) fn new(coalescers: usize, signal: Option<Signal>) -> Self {
        let slots = (0..coalescers).map(|_| Slot::default()).collect();
        Self { sampled: None, frames: 0, slots, signal, has_ended: false }
    }

    /// Waits until a frame is due, and says whether it is the last one. `None` if there is none to be made.
    async fn next(&mut self, shared: &Shared) -> Option<bool> {
        loop {
            if self.has_ended || !shared.viewers.are_there() {
                return None;
            }
            if shared.watched.iter().all(|watched| watched.source.has_stopped()) {
                return Some(true);
            }
            let since = self.sampled.map(|at| now().saturating_duration_since(at));
            let due = since.map_or(Duration::ZERO, |since| shared.every.saturating_sub(since));
            if self.is_signalled_within(due.min(LOOK)).await {
                return Some(true);
            }
            if due <= LOOK {
                return Some(false);
            }
        }
    }

    async fn is_signalled_within(&mut self, time: Duration) -> bool {
        let mut pause = pin!(sleep(time));
        poll_fn(|cx| {
            if self.poll_signal(cx) {
                return Poll::Ready(true);
            }
            if time.is_zero() { Poll::Ready(false) } else { pause.as_mut().poll(cx).map(|()| false) }
        })
        .await
    }

    /// The signal is user code. One that panics has come.
    fn poll_signal(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(signal) = &mut self.signal else { return false };
        let has_come = catch(|| signal.as_mut().poll(cx).is_ready()).unwrap_or(true);
        if has_come {
            drop_contained(self.signal.take());
        }
        has_come
    }

    async fn sample(&mut self, shared: &Shared, is_last: bool) -> Frame {
        self.sampled = Some(now());
        self.frames += 1;
        let asks = self.slots.iter_mut().zip(&shared.watched).map(|(slot, watched)| slot.ask(watched));
        let answers = join_all(asks).await;
        let taken = now();
        let slots = self.slots.iter_mut().zip(&shared.watched).zip(answers);
        let coalescers: Vec<_> =
            slots.map(|((slot, watched), answered)| slot.recorder.record(&watched.name, answered, taken)).collect();
        let frame = json!({
            "version": super::page::VERSION,
            "frame": self.frames,
            "tick_ms": u64::try_from(shared.every.as_millis()).unwrap_or(u64::MAX),
            "last": is_last,
            "actions": shared.actions.iter().map(|action| action.as_str()).collect::<Vec<_>>(),
            "coalescers": coalescers,
        });
        self.has_ended = is_last;
        Frame::new(&frame, taken, is_last)
    }
}

impl Slot {
    /// An answer that came while no page was open may be of any age.
    fn forget_late_answer(&mut self) {
        self.asked = self.asked.take().and_then(|mut asked| (&mut asked).now_or_never().is_none().then_some(asked));
    }

    async fn ask(&mut self, watched: &Watched) -> Answered {
        if watched.source.has_stopped() {
            self.asked = None;
            return Answered::Stopped;
        }
        let mut question = self.asked.take().unwrap_or_else(|| watched.source.read());
        match timeout(PATIENCE, &mut question).await {
            Ok(Ok(reading)) => {
                let mut panels = panel::of_coalescer(&reading);
                panels.extend(watched.panels.iter().filter_map(|panel| panel.read()));
                Answered::Reading(Box::new(reading), panels)
            }
            Ok(Err(Closed)) => Answered::Stopped,
            Err(_) => {
                self.asked = Some(question);
                Answered::Silent
            }
        }
    }
}

/// The right to run: whoever has set the flag of [`Viewers`](super::viewers::Viewers) has the sampler.
struct Running {
    shared: Arc<Shared>,
    /// `None` once it is given back.
    sampler: Option<Box<Sampler>>,
}

/// For the first viewer.
pub(super) fn start(shared: &Arc<Shared>) {
    let running = Running { shared: Arc::clone(shared), sampler: shared.sampler.take() };
    // Without a runtime nothing runs, and the right to is given back.
    if let Ok(runtime) = Runtime::try_current() {
        drop(runtime.spawn(boxed_task(run(running))));
    }
}

async fn run(mut running: Running) {
    let shared = Arc::clone(&running.shared);
    running.sampler.iter_mut().flat_map(|sampler| &mut sampler.slots).for_each(Slot::forget_late_answer);
    while let Some(sampler) = &mut running.sampler {
        while let Some(is_last) = sampler.next(&shared).await {
            let frame = sampler.sample(&shared, is_last).await;
            shared.frames.send_replace(Some(frame));
        }
        let has_ended = sampler.has_ended;
        running.give_back_if_alone();
        if has_ended && running.sampler.is_some() {
            // Its viewers have the last frame, and are about to leave.
            sleep(LOOK).await;
        }
    }
}

impl Running {
    fn give_back_if_alone(&mut self) {
        let Some(sampler) = self.sampler.take() else { return };
        // First, as the next one takes it as soon as the flag is gone.
        drop(self.shared.sampler.put(sampler));
        if !self.shared.viewers.stop_if_alone() {
            self.sampler = self.shared.sampler.take();
        }
    }
}

/// Where a runtime ends with the task.
impl Drop for Running {
    fn drop(&mut self) {
        if let Some(sampler) = self.sampler.take() {
            drop(self.shared.sampler.put(sampler));
            self.shared.viewers.stop();
        }
    }
}

#[cfg(all(test, not(shardflight_shuttle)))]
mod tests {
    use std::{
        collections::BTreeSet,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use serde_json::Value;
    use tokio::sync::watch;

    use super::{
        super::{source::Source, viewers::Viewer, viewers::Viewers},
        *,
    };
    use crate::{stats::Stats, sync::Cell};

    /// Answers once it is told to.
    struct Stuck {
        asked: Arc<AtomicUsize>,
        told: watch::Receiver<bool>,
    }

    impl Source for Stuck {
        fn has_stopped(&self) -> bool {
            false
        }

        fn read(&self) -> Answer<Reading> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let mut told = self.told.clone();
            Box::pin(async move {
                told.wait_for(|told| *told).await.map_err(|_| Closed)?;
                let totals = Stats::sum(vec![Stats::default()]);
                Ok(Reading {
                    totals,
                    oldest: Vec::new(),
                    profile: None,
                    enabled: true,
                    fraction: 1.0,
                    time_limit: None,
                    max_executions: None,
                })
            })
        }

        fn forget(&self, _: u64) -> Answer<bool> {
            unreachable!()
        }

        fn set_enabled(&self, _: bool) -> bool {
            unreachable!()
        }
    }

    fn stuck(name: &str, told: &watch::Sender<bool>) -> (Watched, Arc<AtomicUsize>) {
        let asked = Arc::default();
        let source = Stuck { asked: Arc::clone(&asked), told: told.subscribe() };
        (Watched { name: name.to_owned(), source: Box::new(source), panels: Vec::new() }, asked)
    }

    #[tokio::test(start_paused = true)]
    async fn a_coalescer_that_does_not_answer_is_asked_once_and_holds_up_no_other() {
        let (release, open) = (watch::Sender::new(false), watch::Sender::new(true));
        let ((silent, asked), (live, _)) = (stuck("silent", &release), stuck("live", &open));
        let shared = Arc::new(Shared {
            watched: vec![silent, live],
            every: Duration::from_secs(1),
            max_viewers: 1,
            actions: BTreeSet::new(),
            viewers: Viewers::default(),
            frames: watch::Sender::new(None),
            sampler: Cell::full(Box::new(Sampler::new(2, None))),
        });
        let mut frames = shared.frames.subscribe();
        let viewer = Viewer::enter(&shared).expect("there is room");
        let mut states = async || {
            timeout(Duration::from_secs(5), frames.changed())
                .await
                .expect("a frame in time")
                .expect("the sampler runs");
            let frame: Value = serde_json::from_slice(&frames.borrow().as_ref().unwrap().json).unwrap();
            [0, 1].map(|coalescer: usize| frame["coalescers"][coalescer]["state"].as_str().unwrap().to_owned())
        };
        for _ in 0..3 {
            assert_eq!(states().await, ["silent", "live"]);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1, "its queue must not grow");
        release.send_replace(true);
        assert_eq!(states().await, ["live", "live"]);
        assert_eq!(states().await, ["live", "live"]);
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        release.send_replace(false);
        assert_eq!(states().await, ["silent", "live"]);
        drop(viewer);
        sleep(2 * LOOK).await;
        release.send_replace(true);
        sleep(Duration::from_hours(1)).await;
        let _viewer = Viewer::enter(&shared).expect("there is room");
        assert_eq!(
            (states().await, asked.load(Ordering::Relaxed)),
            (["live", "live"].map(str::to_owned), 4),
            "an hour old"
        );
    }
}
