//! Every option of a page, with its default.

use std::{collections::BTreeSet, fmt, future::Future, sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{
    actions::Action,
    dashboard::Dashboard,
    error::DashboardBuildError,
    panel::PanelSource,
    sampler::{Sampler, Signal},
    shared::{Shared, Watched},
    source::{self, Source},
    viewers::{Viewer, Viewers},
};
use crate::{handle::Handle, sync::Cell};

const LEAST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(60);

/// Builds a [`Dashboard`].
#[must_use = "there is no dashboard before `build`"]
pub struct DashboardBuilder {
    watched: Vec<Watched>,
    every: Duration,
    max_viewers: usize,
    actions: BTreeSet<Action>,
    signal: Option<Signal>,
    records_always: bool,
}

impl DashboardBuilder {
    pub(super) fn new() -> Self {
        Self {
            watched: Vec::new(),
            every: Duration::from_secs(1),
            max_viewers: 32,
            actions: BTreeSet::new(),
            signal: None,
            records_always: false,
        }
    }

    /// Shows this coalescer, under this name. For hot keys, durations and reasons of refusals, its builder needs
    /// [`profile`](crate::Builder::profile); for names of keys, [`describe`](crate::Builder::describe).
    pub fn coalescer<K, V, S>(self, name: impl Into<String>, handle: &Handle<K, V, S>) -> Self
    where
        K: Eq + Send + 'static,
        V: Send + Sync + 'static,
        S: Send + Sync + 'static,
    {
        self.watch(name.into(), source::of(handle), Vec::new())
    }

    /// Shows this cache and the coalescer of its loads, under this name.
    #[cfg(feature = "cache")]
    pub fn cache<K, V, E>(self, name: impl Into<String>, cache: &crate::cache::CacheHandle<K, V, E>) -> Self
    where
        K: Clone + Eq + std::hash::Hash + Send + Sync + 'static,
        V: Send + Sync + 'static,
        E: Send + Sync + 'static,
    {
        let panel = super::panel::CachePanel(cache.weak_source());
        self.watch(name.into(), source::of(cache.flights()), vec![Box::new(panel)])
    }

    /// Shows this coalescer and the cluster that it shares flights with, under this name.
    #[cfg(feature = "redis")]
    pub fn cluster<K, V, C, S>(self, name: impl Into<String>, handle: &crate::redis::ClusterHandle<K, V, C, S>) -> Self
    where
        K: Eq + Send + 'static,
        V: Send + Sync + 'static,
        S: Send + Sync + 'static,
    {
        let panel = super::panel::ClusterPanel(handle.cluster().weak_stats());
        self.watch(name.into(), source::of(handle.local()), vec![Box::new(panel)])
    }

    /// Shows the coalescer of this handle and, by reason, the requests that this HTTP layer passed through, under this name. Give the
    /// layer the same [`handle`](crate::tower::CoalesceLayerBuilder::handle).
    #[cfg(feature = "tower")]
    pub fn layer<S>(
        self,
        name: impl Into<String>,
        layer: &crate::tower::CoalesceLayer,
        handle: &Handle<crate::tower::Key, crate::tower::Answer, S>,
    ) -> Self
    where
        S: Send + Sync + 'static,
    {
        self.watch(name.into(), source::of(handle), vec![Box::new(layer.passes())])
    }

    fn watch(mut self, name: String, source: Box<dyn Source>, panels: Vec<Box<dyn PanelSource>>) -> Self {
        self.watched.push(Watched { name, source, panels });
        self
    }

    /// How often open pages are sent new numbers.
    ///
    /// All pages together cost one question to each shard, as [`stats`](Handle::stats) does, and one snapshot of some kilobytes per
    /// coalescer and viewer.
    ///
    /// # Default
    ///
    /// One second.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) fails below 100 ms and above a minute.
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// The most pages that are open at the same time; one more is answered with 503 and says so.
    ///
    /// A page in the background counts, and so does one whose connection is dead and not known to be.
    ///
    /// # Default
    ///
    /// 32.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) fails if it is 0.
    pub fn max_viewers(mut self, viewers: usize) -> Self {
        self.max_viewers = viewers;
        self
    }

    /// Lets viewers of the page do this. A request is accepted from the page itself only: by POST, from the same origin. Put
    /// authentication in front: every viewer that can open the page can take its actions, and so can a site whose name is made to point to
    /// this server (DNS rebinding), unless what is in front checks `Host`.
    ///
    /// # Default
    ///
    /// None: the page is read-only, and has no route for actions.
    pub fn allow_actions(mut self, actions: impl IntoIterator<Item = Action>) -> Self {
        self.actions.extend(actions);
        self
    }

    /// Ends all open pages' streams when this future does, such as the one that is given to axum's
    /// [`with_graceful_shutdown`](https://docs.rs/axum/0.8/axum/serve/struct.Serve.html#method.with_graceful_shutdown), which waits
    /// for them. It is polled while a page is open.
    ///
    /// Where a graceful shutdown begins before the coalescers are shut down, it never ends without this: a browser keeps the page's
    /// stream open.
    ///
    /// # Default
    ///
    /// Streams end when all coalescers have stopped, within 100 ms.
    pub fn end_on(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.signal = Some(Box::pin(signal));
        self
    }

    /// Records the past whether a page is open or not, so that the first viewer sees the last 120 ticks. It costs what an open page
    /// costs, all the time, from [`build`](Self::build) on, which has to be called in a Tokio runtime then.
    ///
    /// # Default
    ///
    /// Off: without a viewer, nothing is read. The points that earlier viewers saw are kept, and the time since then is one point, with
    /// its mean rates.
    pub fn record_always(mut self) -> Self {
        self.records_always = true;
        self
    }

    /// Starts nothing: the first viewer does, on the runtime that serves it.
    ///
    /// # Errors
    ///
    /// Where an option's value makes no sense, and without a coalescer: see [`DashboardBuildError`].
    pub fn build(self) -> Result<Dashboard, DashboardBuildError> {
        let Self { watched, every, max_viewers, actions, signal, records_always } = self;
        check_names(&watched)?;
        if !(LEAST..=MOST).contains(&every) {
            return Err(DashboardBuildError::Interval { every, least: LEAST, most: MOST });
        }
        if max_viewers == 0 {
            return Err(DashboardBuildError::ZeroViewers);
        }
        if records_always && crate::sync::Runtime::try_current().is_err() {
            return Err(DashboardBuildError::NoRuntime);
        }
        let sampler = Sampler::new(watched.len(), signal);
        let shared = Arc::new(Shared {
            watched,
            every,
            // The recording is one of them.
            max_viewers: max_viewers.saturating_add(usize::from(records_always)).min(usize::MAX / 4),
            actions,
            viewers: Viewers::default(),
            frames: watch::Sender::new(None),
            sampler: Cell::full(Box::new(sampler)),
        });
        let recording = if records_always { Viewer::enter(&shared).map(Arc::new) } else { None };
        Ok(Dashboard::with(shared, recording))
    }
}

fn check_names(watched: &[Watched]) -> Result<(), DashboardBuildError> {
    let mut names = BTreeSet::new();
    for Watched { name, .. } in watched {
        if name.trim().is_empty() {
            return Err(DashboardBuildError::Unnamed);
        }
        if !names.insert(name) {
            return Err(DashboardBuildError::NameTaken { name: name.clone() });
        }
    }
    if names.is_empty() { Err(DashboardBuildError::Empty) } else { Ok(()) }
}

impl fmt::Debug for DashboardBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DashboardBuilder")
            .field("coalescers", &self.watched.iter().map(|watched| &watched.name).collect::<Vec<_>>())
            .field("every", &self.every)
            .field("max_viewers", &self.max_viewers)
            .field("actions", &self.actions)
            .field("records_always", &self.records_always)
            .finish_non_exhaustive()
    }
}
