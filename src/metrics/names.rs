//! The names under which coalescers export, so that no two of them write to one series at once.
//!
//! A namesake is not refused: services are built twice on purpose, to replace one by the other or by tests that run beside each
//! other, and that must not fail for a label's sake. It gets a label of its own.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Identifies a recorder while it exists, by its address: the facade has nothing else. One that is moved, or made where another
/// was, is taken for another or for the same; then two coalescers share a label, or one gets a suffix that it doesn't need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RecorderId(usize);

impl RecorderId {
    /// The recorder that is current on this thread.
    pub(super) fn current() -> Self {
        metrics::with_recorder(|recorder| Self(std::ptr::from_ref(recorder).cast::<()>().addr()))
    }
}

type Key = (RecorderId, String);

/// Set when the coalescer's last handle is gone, though it may not be closed yet.
type Claim = Arc<AtomicBool>;

/// The labels in use. Each is removed when its coalescer is closed, so there are never more than coalescers.
static TAKEN: Mutex<Option<HashMap<Key, Claim>>> = Mutex::new(None);

/// A label that is one coalescer's own, until this is dropped.
#[derive(Debug)]
pub(super) struct Label {
    recorder: RecorderId,
    text: String,
    is_abandoned: Claim,
}

fn with_taken<T>(act: impl FnOnce(&mut HashMap<Key, Claim>) -> T) -> T {
    act(TAKEN.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

impl Label {
    /// The name if no other coalescer exports under it to this recorder, otherwise the first free one of `name#2`, `name#3`, ….
    pub(super) fn claim(recorder: RecorderId, name: &str) -> Self {
        let claim = Claim::default();
        let text = with_taken(|taken| {
            let mut labels =
                (1_usize..).map(|number| if number == 1 { name.to_owned() } else { format!("{name}#{number}") });
            let is_free = |label: &String| match taken.entry((recorder, label.clone())) {
                Entry::Vacant(vacant) => {
                    vacant.insert(Arc::clone(&claim));
                    true
                }
                // What its coalescer still reports adds up.
                Entry::Occupied(mut occupied) if occupied.get().load(Ordering::Relaxed) => {
                    occupied.insert(Arc::clone(&claim));
                    true
                }
                Entry::Occupied(_) => false,
            };
            labels.find(is_free).unwrap_or_default()
        });
        Self { recorder, text, is_abandoned: claim }
    }

    pub(super) fn recorder(&self) -> RecorderId {
        self.recorder
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Its coalescer has no handle any more: the next namesake may have the label.
    pub(super) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
    }

    /// Gives the label up, if it isn't another coalescer's already.
    pub(super) fn release(&self) {
        with_taken(|taken| {
            if let Entry::Occupied(occupied) = taken.entry((self.recorder, self.text.clone()))
                && Arc::ptr_eq(occupied.get(), &self.is_abandoned)
            {
                occupied.remove();
            }
        });
    }
}

impl Drop for Label {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address that no other test has.
    fn recorder(address: &u8) -> RecorderId {
        RecorderId(std::ptr::from_ref(address).addr())
    }

    #[test]
    fn names_are_unique_per_recorder() {
        let (one, other) = (Box::new(1), Box::new(2));
        let first = Label::claim(recorder(&one), "users");
        let second = Label::claim(recorder(&one), "users");
        let third = Label::claim(recorder(&one), "users");
        let elsewhere = Label::claim(recorder(&other), "users");
        assert_eq!(
            [first.text(), second.text(), third.text(), elsewhere.text()],
            ["users", "users#2", "users#3", "users"]
        );
    }

    #[test]
    fn a_suffixed_name_is_a_name_like_any_other() {
        let one = Box::new(1);
        let explicit = Label::claim(recorder(&one), "users#2");
        let first = Label::claim(recorder(&one), "users");
        let second = Label::claim(recorder(&one), "users");
        assert_eq!([explicit.text(), first.text(), second.text()], ["users#2", "users", "users#3"]);
    }

    #[test]
    fn a_released_name_is_free_in_any_order() {
        let one = Box::new(1);
        let claim = || Label::claim(recorder(&one), "users");
        let (first, second) = (claim(), claim());
        drop(first);
        let third = claim();
        assert_eq!([second.text(), third.text()], ["users#2", "users"]);
        drop(second);
        assert_eq!(claim().text(), "users#2");
    }

    #[test]
    fn an_abandoned_name_is_handed_over() {
        let one = Box::new(1);
        let claim = || Label::claim(recorder(&one), "users");
        let first = claim();
        first.abandon();
        let second = claim();
        assert_eq!(second.text(), "users");
        // The end of the first doesn't free what is the second's.
        drop(first);
        assert_eq!(claim().text(), "users#2");
    }
}
