//! What the routes and the sampler of a dashboard share.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::watch;

use super::{actions::Action, panel::PanelSource, sampler::Sampler, source::Source, viewers::Viewers};
use crate::sync::{Cell, now};

pub(super) struct Shared {
    pub(super) watched: Vec<Watched>,
    pub(super) every: Duration,
    pub(super) max_viewers: usize,
    pub(super) actions: BTreeSet<Action>,
    pub(super) viewers: Viewers,
    /// The latest one alone: a viewer that reads slowly skips the others, and none is kept for it.
    pub(super) frames: watch::Sender<Option<Frame>>,
    /// Empty while the sampler runs.
    pub(super) sampler: Cell<Sampler>,
}

/// A coalescer, under its name on the page.
pub(super) struct Watched {
    pub(super) name: String,
    pub(super) source: Box<dyn Source>,
    pub(super) panels: Vec<Box<dyn PanelSource>>,
}

/// All that a page shows at one moment, so that a viewer needs no frame before it. Made once for all viewers.
#[derive(Clone)]
pub(super) struct Frame {
    taken: Instant,
    /// There will be no other: all coalescers have stopped, or the server is about to.
    pub(super) is_last: bool,
    pub(super) json: Bytes,
    /// The same as a server-sent event.
    pub(super) event: Bytes,
}

impl Frame {
    pub(super) fn new(json: &serde_json::Value, taken: Instant, is_last: bool) -> Self {
        // On one line: line breaks in texts are escaped.
        let json = json.to_string();
        let event = format!("data: {json}\n\n").into();
        Self { taken, is_last, json: json.into(), event }
    }
}

impl Shared {
    /// The frame of this tick, if there is one.
    pub(super) fn fresh(&self) -> Option<Frame> {
        let frame = self.frames.borrow().clone()?;
        (frame.is_last || now().saturating_duration_since(frame.taken) <= self.every).then_some(frame)
    }

    pub(super) fn find(&self, name: &str) -> Option<&Watched> {
        self.watched.iter().find(|watched| watched.name == name)
    }
}
