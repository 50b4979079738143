//! Counters, gauges and histograms for the `metrics` facade: the feature `metrics`.
//!
//! Implements [`Observer`](crate::observer::Observer); the core doesn't depend on this module.

mod builder;
mod catalogue;
mod instruments;
mod reporter;

pub use builder::Metrics;
