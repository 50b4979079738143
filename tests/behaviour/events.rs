//! The crate's events, as a subscriber receives them.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

pub(crate) const STARTED: &str = "flight started";
pub(crate) const COMPLETED: &str = "flight completed";
pub(crate) const FOLLOWED: &str = "flight followed";
pub(crate) const CROWDED: &str = "flight crowded";
pub(crate) const OVERDUE: &str = "flight overdue";
pub(crate) const TAKEN_OVER: &str = "flight taken over";
pub(crate) const REJECTED: &str = "join rejected";

/// An event's fields by name, its `level`, and as `span` the name of the innermost span around it.
pub(crate) type Fields = BTreeMap<&'static str, String>;

struct Reader<'a>(&'a mut Fields);

impl Visit for Reader<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

/// The fields of an event, unless it is another crate's.
pub(crate) fn read(event: &Event<'_>) -> Option<Fields> {
    let metadata = event.metadata();
    (metadata.target() == "shardflight").then(|| {
        let mut fields = Fields::from([("level", metadata.level().to_string())]);
        event.record(&mut Reader(&mut fields));
        fields
    })
}

/// Records the crate's events.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<Fields>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Events {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if let Some(mut fields) = read(event) {
            fields.extend(context.event_span(event).map(|span| ("span", span.name().to_owned())));
            self.0.lock().unwrap().push(fields);
        }
    }
}

impl Events {
    /// Those with that message, in their order.
    pub(crate) fn of(&self, message: &str) -> Vec<Fields> {
        self.0.lock().unwrap().iter().filter(|fields| fields["message"] == message).cloned().collect()
    }

    pub(crate) fn all(&self) -> Vec<Fields> {
        self.0.lock().unwrap().clone()
    }
}
