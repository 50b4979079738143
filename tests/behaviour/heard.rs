//! What tracing was told.

use std::{
    collections::BTreeMap,
    fmt::{Debug, Write},
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

/// Everything that was told under our target.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<BTreeMap<&'static str, String>>>>);

pub(crate) struct Fields<'a>(pub(crate) &'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        write!(text, "{value:?}").unwrap();
        self.0.insert(field.name(), text);
    }
}

impl<S: Subscriber> Layer<S> for Heard {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "shardflight" {
            let mut fields = BTreeMap::from([("level", event.metadata().level().to_string())]);
            event.record(&mut Fields(&mut fields));
            self.0.lock().unwrap().push(fields);
        }
    }
}

impl Heard {
    pub(crate) fn of(&self, message: &str) -> Vec<BTreeMap<&'static str, String>> {
        let heard = self.0.lock().unwrap();
        heard.iter().filter(|fields| fields["message"] == message).cloned().collect()
    }
}
