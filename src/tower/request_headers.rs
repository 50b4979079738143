//! A request's headers, each with what is known of it.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::key_headers::Known;

/// One value of a header of a request.
#[derive(Clone, Copy)]
pub(super) struct Header<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a HeaderValue,
    pub(super) known: Known,
    /// Whether the value is in the key, or a part of it.
    pub(super) is_in_key: bool,
}

/// Sorted by name: requests that send the same headers in another order have equal keys. The order of the values of one header
/// is kept, as it has a meaning.
pub(super) struct RequestHeaders<'a> {
    /// Nearly always enough: they cost no allocation.
    few: [Option<Header<'a>>; FEW],
    many: Vec<Option<Header<'a>>>,
    count: usize,
}

const FEW: usize = 24;

impl<'a> RequestHeaders<'a> {
    pub(super) fn new() -> Self {
        Self { few: [None; FEW], many: Vec::new(), count: 0 }
    }

    /// Once: into its place, as it is large.
    pub(super) fn fill(&mut self, headers: &'a HeaderMap, known: impl Fn(&HeaderName) -> Known) {
        self.count = headers.len();
        if self.count > FEW {
            self.many = vec![None; self.count];
        }
        let places = self.places();
        for (place, (name, value)) in places.iter_mut().zip(headers) {
            *place = Some(Header { name: name.as_str(), value, known: known(name), is_in_key: false });
        }
        let name_of = |header: &Option<Header<'a>>| header.as_ref().map_or("", |header| header.name);
        // Stable.
        places.sort_by(|one, other| name_of(one).cmp(name_of(other)));
    }

    fn places(&mut self) -> &mut [Option<Header<'a>>] {
        if self.many.is_empty() { &mut self.few[..self.count] } else { &mut self.many }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Header<'a>> {
        let places = if self.many.is_empty() { &self.few[..self.count] } else { &self.many };
        places.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Header<'a>> {
        self.places().iter_mut().flatten()
    }
}
