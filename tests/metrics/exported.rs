//! The exported metrics, parsed from the exporter's text.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use metrics::{LocalRecorderGuard, set_default_local_recorder, set_global_recorder};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// The exporter, set up by the line of the instructions and by nothing else.
fn as_in_the_readme() -> Result<PrometheusBuilder, BuildError> {
    let exporter = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Prefix("shardflight_".into()), shardflight::metrics::buckets())?;
    Ok(exporter)
}

pub(crate) struct Exported {
    recorder: Arc<PrometheusRecorder>,
    text: PrometheusHandle,
}

/// One line of the exporter's text.
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: String,
}

impl Exported {
    pub(crate) fn new() -> Self {
        Self::of(as_in_the_readme().expect("valid buckets"))
    }

    pub(crate) fn of(exporter: PrometheusBuilder) -> Self {
        let recorder = Arc::new(exporter.build_recorder());
        Self { text: recorder.handle(), recorder }
    }

    /// The recorder of this thread, until the guard is dropped.
    pub(crate) fn as_default(&self) -> LocalRecorderGuard<'_> {
        set_default_local_recorder(&self.recorder)
    }

    pub(crate) fn text(&self) -> String {
        self.text.render()
    }

    /// The recorder of the process.
    pub(crate) fn install() -> Self {
        let exported = Self::new();
        assert!(set_global_recorder(Arc::clone(&exported.recorder)).is_ok(), "there is another one");
        exported
    }

    /// Builds something that exports to this recorder.
    pub(crate) fn to<T>(&self, build: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(&self.recorder, build)
    }

    /// The sum of the integer samples with this name and these labels.
    pub(crate) fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.values(name, labels).iter().map(|value| value.parse::<u64>().expect("a whole number")).sum()
    }

    pub(crate) fn seconds(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.values(name, labels).iter().map(|value| value.parse::<f64>().expect("a number")).sum()
    }

    fn values(&self, name: &str, labels: &[(&str, &str)]) -> Vec<String> {
        let has = |sample: &Sample| {
            labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|found| found == value))
        };
        let samples = self.samples().into_iter().filter(|sample| sample.name == name && has(sample));
        let values: Vec<_> = samples.map(|sample| sample.value).collect();
        assert!(!values.is_empty(), "no {name} with {labels:?} in\n{}", self.text.render());
        values
    }

    fn samples(&self) -> Vec<Sample> {
        self.text.render().lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(Sample::read).collect()
    }

    /// The names of all metrics.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.types().into_keys().collect()
    }

    /// The types of all metrics, from the type lines.
    pub(crate) fn types(&self) -> BTreeMap<String, String> {
        let text = self.text.render();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
    }

    /// The names of all series: those of a histogram have suffixes.
    pub(crate) fn series(&self) -> BTreeSet<String> {
        self.samples().into_iter().map(|sample| sample.name).collect()
    }

    /// All labels with their values.
    pub(crate) fn labels(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut all = BTreeMap::<_, BTreeSet<_>>::new();
        for (label, value) in self.samples().into_iter().flat_map(|sample| sample.labels) {
            all.entry(label).or_default().insert(value);
        }
        all
    }
}

impl Sample {
    /// Parses `name{label="value"} 1`. Labels in tests contain nothing that is escaped.
    fn read(line: &str) -> Self {
        let (metric, value) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = metric.split_once('{').unwrap_or((metric, "}"));
        let labels = labels.trim_end_matches('}').split_terminator(',');
        let pair = |label: &str| {
            let (label, value) = label.split_once('=').expect("a label");
            (label.to_owned(), value.trim_matches('"').to_owned())
        };
        Self { name: name.to_owned(), labels: labels.map(pair).collect(), value: value.to_owned() }
    }
}
