//! Prints tracing's events to standard output, between the scenarios' own lines.

use std::io::stdout;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Registry,
    filter::Targets,
    fmt::{layer, time::uptime},
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

use crate::Fallible;

#[derive(Debug)]
pub(crate) struct Log {
    targets: reload::Handle<Targets, Registry>,
}

impl Log {
    pub(crate) fn open() -> Self {
        let (filter, targets) = reload::Layer::new(Targets::new());
        let lines = layer().compact().with_timer(uptime()).with_writer(stdout);
        tracing_subscriber::registry().with(filter).with(lines).init();
        Self { targets }
    }

    /// Sets the level of the coalescer's events. The callers' spans are always enabled, as they are the events' parents.
    pub(crate) fn listen_to(&self, level: LevelFilter) -> Fallible<()> {
        let targets = Targets::new().with_target("operations", LevelFilter::INFO).with_target("shardflight", level);
        Ok(self.targets.reload(targets)?)
    }
}
