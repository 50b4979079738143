//! The border of the key: which of a request's headers are in it.

use std::collections::HashSet;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    headers::{forwarded_target, without_cookies},
    known_headers::{CONDITIONS, CREDENTIALS, IGNORED, RANGES, TARGET},
};

/// A header with its value. A name comes once for each of its values.
pub(super) type Field = (HeaderName, HeaderValue);

#[derive(Debug)]
pub(super) struct KeyHeaders {
    /// Whether headers that are in none of the sets are in the key.
    includes_unnamed: bool,
    /// In the key. Disjoint from `ignored`: the last call of the builder counts.
    named: HashSet<HeaderName>,
    ignored: HashSet<HeaderName>,
    ignored_cookies: HashSet<Box<[u8]>>,
    credentials: HashSet<HeaderName>,
    /// The headers that a request's principal stands for, if it has one.
    accounted: HashSet<HeaderName>,
}

impl Default for KeyHeaders {
    fn default() -> Self {
        Self {
            includes_unnamed: true,
            named: HashSet::new(),
            ignored: IGNORED.map(HeaderName::from_static).into(),
            ignored_cookies: HashSet::new(),
            credentials: CREDENTIALS.into(),
            accounted: HashSet::new(),
        }
    }
}

impl KeyHeaders {
    pub(super) fn include(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        for name in names {
            self.ignored.remove(&name);
            self.named.insert(name);
        }
    }

    pub(super) fn include_only(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        self.includes_unnamed = false;
        let target = TARGET.into_iter().filter(|name| !self.ignored.contains(name));
        self.named.extend(target);
        self.include(names);
    }

    pub(super) fn ignore(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        for name in names {
            self.named.remove(&name);
            self.ignored.insert(name);
        }
    }

    pub(super) fn ignore_cookies(&mut self, names: impl IntoIterator<Item = Box<[u8]>>) {
        self.ignored_cookies.extend(names);
    }

    pub(super) fn add_credentials(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        for name in names {
            self.ignored.remove(&name);
            self.credentials.insert(name);
        }
    }

    pub(super) fn account_for(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        self.accounted = names.into_iter().collect();
    }

    /// Whether the user has decided on this header.
    pub(super) fn is_decided(&self, name: &HeaderName) -> bool {
        self.named.contains(name) || self.ignored.contains(name)
    }

    /// Whether a request carries credentials that the user has not decided on.
    pub(super) fn has_undecided_credentials(&self, headers: &HeaderMap) -> bool {
        headers.keys().any(|name| {
            self.credentials.contains(name)
                && !self.is_decided(name)
                && headers.get_all(name).iter().any(|value| self.kept_of(name, value).is_some())
        })
    }

    /// The headers that are in the key. Requests that send the same headers in another order have equal ones; the order of the
    /// values of one header is kept, as it has a meaning.
    pub(super) fn select(&self, headers: &HeaderMap, has_principal: bool, has_own_key: bool) -> Vec<Field> {
        // Responses to requests that join with a key of the user's only depend on what such a header says.
        let needs_own_key = |name| RANGES.contains(name) || CONDITIONS.contains(name);
        let mut selected = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            if self.includes(name, has_principal) || (has_own_key && needs_own_key(name)) {
                selected.extend(self.kept_of(name, value).map(|value| (name.clone(), value)));
            }
        }
        // Stable: keeps the order of one header's values.
        selected.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
        selected
    }

    /// The headers that responses may vary on although the key doesn't have them, or not all of them.
    pub(super) fn outside(&self, headers: &HeaderMap) -> Vec<Field> {
        let outside = headers.iter().filter(|(name, _)| !self.always_includes(name));
        outside.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Whether all requests with one key agree in this header, or have none.
    pub(super) fn always_includes(&self, name: &HeaderName) -> bool {
        let is_in_part = match *name {
            header::COOKIE => !self.ignored_cookies.is_empty(),
            header::FORWARDED => !self.named.contains(name),
            _ => false,
        };
        !is_in_part && self.includes(name, false) && self.includes(name, true)
    }

    fn includes(&self, name: &HeaderName, has_principal: bool) -> bool {
        if has_principal && self.accounted.contains(name) {
            return false;
        }
        if self.is_decided(name) {
            return self.named.contains(name);
        }
        // The target's part of `Forwarded`, and credentials that a principal doesn't account for, are in any key.
        self.includes_unnamed || *name == header::FORWARDED || (has_principal && self.credentials.contains(name))
    }

    /// The part of a value that is in the key.
    fn kept_of(&self, name: &HeaderName, value: &HeaderValue) -> Option<HeaderValue> {
        match *name {
            header::COOKIE => without_cookies(value, &self.ignored_cookies),
            header::FORWARDED if !self.named.contains(name) => forwarded_target(value),
            _ => Some(value.clone()),
        }
    }
}
