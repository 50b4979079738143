//! Which layers a request has come through.
//!
//! A layer that meets a request twice, as one does that is on a router and on another nested in it, must not coalesce it twice:
//! the second time, it would wait for the flight whose work makes the call.

use std::slice;

use http::Extensions;

/// An extension of the request: the layers' numbers.
#[derive(Clone)]
enum Met {
    /// Nearly always.
    One(u64),
    Several(Vec<u64>),
}

impl Met {
    fn layers(&self) -> &[u64] {
        match self {
            Self::One(layer) => slice::from_ref(layer),
            Self::Several(layers) => layers,
        }
    }
}

pub(super) fn has_met(extensions: &Extensions, layer: u64) -> bool {
    extensions.get::<Met>().is_some_and(|met| met.layers().contains(&layer))
}

pub(super) fn meet(extensions: &mut Extensions, layer: u64) {
    let met = match extensions.get::<Met>() {
        None => Met::One(layer),
        Some(met) if met.layers().contains(&layer) => return,
        Some(met) => Met::Several([met.layers(), &[layer]].concat()),
    };
    extensions.insert(met);
}
