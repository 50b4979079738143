//! The border of the key: which of a request's headers are in it.

use std::{borrow::Cow, collections::HashSet};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    header_table::HeaderTable,
    headers::{forwarded_target, without_cookies},
    known_headers::{CREDENTIALS, IGNORED, SAYING, Says, TARGET},
    request_headers::{Header, RequestHeaders},
};

#[derive(Debug)]
pub(super) struct KeyHeaders {
    /// Whether headers that nothing is known of are in the key.
    includes_unnamed: bool,
    known: HeaderTable<Known>,
    ignored_cookies: HashSet<Box<[u8]>>,
}

/// What is known of a header.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// Whether it is in the key, where that is decided: the last call of the builder counts.
    in_key: Option<bool>,
    is_credential: bool,
    /// The request's principal stands for it, if it has one.
    is_accounted: bool,
    parts: Parts,
    pub(super) says: Says,
}

/// The parts of a header's value, of which only some may be in the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Parts {
    #[default]
    None,
    /// Without those that are ignored.
    Cookies,
    /// Those about the target: of `Forwarded`.
    Target,
}

impl Default for KeyHeaders {
    fn default() -> Self {
        let mut headers = Self { includes_unnamed: true, known: HeaderTable::new(), ignored_cookies: HashSet::new() };
        headers.ignore(IGNORED.map(HeaderName::from_static));
        CREDENTIALS.into_iter().for_each(|name| headers.known.entry(name).is_credential = true);
        SAYING.into_iter().for_each(|(name, says)| headers.known.entry(name).says = says);
        headers.known.entry(header::COOKIE).parts = Parts::Cookies;
        headers.known.entry(header::FORWARDED).parts = Parts::Target;
        headers
    }
}

impl KeyHeaders {
    pub(super) fn include(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        names.into_iter().for_each(|name| self.known.entry(name).in_key = Some(true));
    }

    pub(super) fn include_only(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        self.includes_unnamed = false;
        TARGET.into_iter().for_each(|name| {
            self.known.entry(name).in_key.get_or_insert(true);
        });
        self.include(names);
    }

    pub(super) fn ignore(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        names.into_iter().for_each(|name| self.known.entry(name).in_key = Some(false));
    }

    pub(super) fn ignore_cookies(&mut self, names: impl IntoIterator<Item = Box<[u8]>>) {
        self.ignored_cookies.extend(names);
    }

    pub(super) fn add_credentials(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        for name in names {
            let known = self.known.entry(name);
            known.in_key = known.in_key.filter(|&in_key| in_key);
            known.is_credential = true;
        }
    }

    pub(super) fn account_for(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        self.known.values_mut().for_each(|known| known.is_accounted = false);
        names.into_iter().for_each(|name| self.known.entry(name).is_accounted = true);
    }

    fn of(&self, name: &HeaderName) -> Known {
        self.known.get(name).copied().unwrap_or_default()
    }

    /// Whether the user has decided on this header.
    pub(super) fn is_decided(&self, name: &HeaderName) -> bool {
        self.of(name).in_key.is_some()
    }

    pub(super) fn look_up<'a>(&self, headers: &'a HeaderMap, into: &mut RequestHeaders<'a>) {
        into.fill(headers, |name| self.of(name));
    }

    /// Decides which of them are in the key. Returns whether there are credentials that the user has not decided on.
    pub(super) fn select(&self, headers: &mut RequestHeaders<'_>, has_principal: bool, has_own_key: bool) -> bool {
        let mut has_undecided_credentials = false;
        for header in headers.iter_mut() {
            let known = header.known;
            // Responses to requests that join with a key of the user's only depend on what such a header says.
            let needs_own_key = matches!(known.says, Says::IsForARange | Says::IsConditional);
            header.is_in_key = self.includes(known, has_principal) || (has_own_key && needs_own_key);
            let is_undecided = known.is_credential && known.in_key.is_none();
            has_undecided_credentials |= is_undecided && self.kept_of(header).is_some();
        }
        has_undecided_credentials
    }

    /// What is in the key of these headers.
    pub(super) fn inside<'h, 'a>(
        &self,
        headers: &'h RequestHeaders<'a>,
    ) -> impl Iterator<Item = (&'a str, Cow<'a, HeaderValue>)> + use<'h, 'a, '_> {
        let inside = headers.iter().filter(|header| header.is_in_key);
        let mut has_target = None;
        inside.filter_map(move |header| {
            let kept = self.kept_of(header).or_else(|| {
                // A service may read one line of `Forwarded` only: which one has the target matters.
                let keeps_its_place = header.known.parts == Parts::Target
                    && *has_target.get_or_insert_with(|| self.have_a_target(headers));
                keeps_its_place.then(|| Cow::Owned(HeaderValue::from_static("")))
            });
            Some((header.name, kept?))
        })
    }

    /// Whether a line of `Forwarded` describes the target.
    fn have_a_target(&self, headers: &RequestHeaders<'_>) -> bool {
        headers.iter().any(|header| header.known.parts == Parts::Target && self.kept_of(header).is_some())
    }

    /// Those that responses may vary on although the key doesn't have them, or not all of them.
    pub(super) fn outside<'h, 'a>(&self, headers: &'h RequestHeaders<'a>) -> impl Iterator<Item = &'h Header<'a>> {
        headers.iter().filter(|header| !self.surely_includes(header.known))
    }

    /// Whether all requests with one key agree in this header, or have none.
    pub(super) fn always_includes(&self, name: &HeaderName) -> bool {
        self.surely_includes(self.of(name))
    }

    fn surely_includes(&self, known: Known) -> bool {
        !self.includes_some_parts(known)
            && [false, true].into_iter().all(|has_principal| self.includes(known, has_principal))
    }

    fn includes(&self, known: Known, has_principal: bool) -> bool {
        if has_principal && known.is_accounted {
            return false;
        }
        // The target's part of `Forwarded`, and credentials that a principal doesn't account for, are in any key.
        known.in_key.unwrap_or_else(|| {
            self.includes_unnamed || known.parts == Parts::Target || (has_principal && known.is_credential)
        })
    }

    /// Whether the key has only some parts of the header's values, if any.
    fn includes_some_parts(&self, known: Known) -> bool {
        match known.parts {
            Parts::None => false,
            Parts::Cookies => !self.ignored_cookies.is_empty(),
            Parts::Target => known.in_key != Some(true),
        }
    }

    /// What of a value is in the key.
    fn kept_of<'a>(&self, &Header { value, known, .. }: &Header<'a>) -> Option<Cow<'a, HeaderValue>> {
        if !self.includes_some_parts(known) {
            return Some(Cow::Borrowed(value));
        }
        let kept = match known.parts {
            Parts::Cookies => without_cookies(value, &self.ignored_cookies),
            Parts::Target | Parts::None => forwarded_target(value),
        };
        kept.map(Cow::Owned)
    }
}
