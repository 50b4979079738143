//! The border of the key: which of a request's headers are in it.

use std::collections::HashSet;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    headers::{forwarded_target, without_cookies},
    known_headers::{CONDITIONS, CREDENTIALS, IGNORED, RANGES, TARGET},
};

/// A header with its value. A name comes once for each of its values.
pub(super) type Field = (HeaderName, HeaderValue);

/// What is in the key of a request's headers.
pub(super) struct Selected {
    pub(super) fields: Vec<Field>,
    /// Whether there are credentials that the user has not decided on.
    pub(super) has_undecided_credentials: bool,
}

#[derive(Debug)]
pub(super) struct KeyHeaders {
    /// Whether headers that nothing is known of are in the key.
    includes_unnamed: bool,
    known: HeaderMap<Known>,
    ignored_cookies: HashSet<Box<[u8]>>,
}

/// What is known of a header.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Whether it is in the key, where that is decided: the last call of the builder counts.
    in_key: Option<bool>,
    is_credential: bool,
    /// The request's principal stands for it, if it has one.
    is_accounted: bool,
}

impl Default for KeyHeaders {
    fn default() -> Self {
        let mut headers = Self { includes_unnamed: true, known: HeaderMap::default(), ignored_cookies: HashSet::new() };
        headers.ignore(IGNORED.map(HeaderName::from_static));
        CREDENTIALS.into_iter().for_each(|name| headers.know(name).is_credential = true);
        headers
    }
}

impl KeyHeaders {
    pub(super) fn include(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        names.into_iter().for_each(|name| self.know(name).in_key = Some(true));
    }

    pub(super) fn include_only(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        self.includes_unnamed = false;
        TARGET.into_iter().for_each(|name| {
            self.know(name).in_key.get_or_insert(true);
        });
        self.include(names);
    }

    pub(super) fn ignore(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        names.into_iter().for_each(|name| self.know(name).in_key = Some(false));
    }

    pub(super) fn ignore_cookies(&mut self, names: impl IntoIterator<Item = Box<[u8]>>) {
        self.ignored_cookies.extend(names);
    }

    pub(super) fn add_credentials(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        for name in names {
            let known = self.know(name);
            known.in_key = known.in_key.filter(|&in_key| in_key);
            known.is_credential = true;
        }
    }

    pub(super) fn account_for(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        self.known.values_mut().for_each(|known| known.is_accounted = false);
        names.into_iter().for_each(|name| self.know(name).is_accounted = true);
    }

    fn know(&mut self, name: HeaderName) -> &mut Known {
        self.known.entry(name).or_insert_with(Known::default)
    }

    fn of(&self, name: &HeaderName) -> Known {
        self.known.get(name).copied().unwrap_or_default()
    }

    /// Whether the user has decided on this header.
    pub(super) fn is_decided(&self, name: &HeaderName) -> bool {
        self.of(name).in_key.is_some()
    }

    /// The headers that are in the key. Requests that send the same headers in another order have equal ones; the order of the
    /// values of one header is kept, as it has a meaning.
    pub(super) fn select(&self, headers: &HeaderMap, has_principal: bool, has_own_key: bool) -> Selected {
        // Responses to requests that join with a key of the user's only depend on what such a header says.
        let needs_own_key = |name| RANGES.contains(name) || CONDITIONS.contains(name);
        let mut selected = Selected { fields: Vec::with_capacity(headers.len()), has_undecided_credentials: false };
        for (name, value) in headers {
            let known = self.of(name);
            let is_undecided = known.is_credential && known.in_key.is_none();
            let includes = self.includes(name, known, has_principal) || (has_own_key && needs_own_key(name));
            if (includes || is_undecided)
                && let Some(kept) = self.kept_of(name, value, known)
            {
                selected.has_undecided_credentials |= is_undecided;
                if includes {
                    selected.fields.push((name.clone(), kept));
                }
            }
        }
        // Stable: keeps the order of one header's values.
        selected.fields.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
        selected
    }

    /// The headers that responses may vary on although the key doesn't have them, or not all of them.
    pub(super) fn outside(&self, headers: &HeaderMap) -> Vec<Field> {
        let outside = headers.iter().filter(|(name, _)| !self.always_includes(name));
        outside.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Whether all requests with one key agree in this header, or have none.
    pub(super) fn always_includes(&self, name: &HeaderName) -> bool {
        let known = self.of(name);
        let is_in_part = match *name {
            header::COOKIE => !self.ignored_cookies.is_empty(),
            header::FORWARDED => known.in_key != Some(true),
            _ => false,
        };
        !is_in_part && [false, true].into_iter().all(|has_principal| self.includes(name, known, has_principal))
    }

    fn includes(&self, name: &HeaderName, known: Known, has_principal: bool) -> bool {
        if has_principal && known.is_accounted {
            return false;
        }
        // The target's part of `Forwarded`, and credentials that a principal doesn't account for, are in any key.
        known.in_key.unwrap_or_else(|| {
            self.includes_unnamed || *name == header::FORWARDED || (has_principal && known.is_credential)
        })
    }

    /// The part of a value that is in the key.
    fn kept_of(&self, name: &HeaderName, value: &HeaderValue, known: Known) -> Option<HeaderValue> {
        match *name {
            header::COOKIE => without_cookies(value, &self.ignored_cookies),
            header::FORWARDED if known.in_key != Some(true) => forwarded_target(value),
            _ => Some(value.clone()),
        }
    }
}
