//! A progress bar per replica, shown only if stderr is a terminal.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Bars {
    all: MultiProgress,
    bars: Vec<ProgressBar>,
}

impl Bars {
    pub(crate) fn of(replicas: u32, requests: u64) -> Self {
        let all = MultiProgress::new();
        let bars = (0..replicas).map(|replica| {
            let bar = all.add(ProgressBar::new(requests)).with_message(format!("replica {replica}"));
            if let Ok(style) = ProgressStyle::with_template("  {msg:24} {wide_bar} {pos}/{len} {elapsed}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(TICK);
            bar
        });
        let bars = bars.collect();
        Self { all, bars }
    }

    pub(crate) fn answered(&self, replica: usize) {
        self.bars[replica].inc(1);
    }

    pub(crate) fn killed(&self, replica: usize) {
        self.bars[replica].abandon_with_message(format!("replica {replica} (killed)"));
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        let _ = self.all.clear();
    }
}

/// While there is nothing to count.
pub(crate) fn spinner(message: &'static str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(message);
    spinner.enable_steady_tick(TICK);
    spinner
}
