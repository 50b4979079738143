//! Counters, gauges and histograms for the [`metrics`](https://docs.rs/metrics) facade: the feature `metrics`.
//!
//! [`Metrics`] lists them, and says how to install a recorder, what a name is for, and what becomes of the series of coalescers that
//! come and go. [`buckets`] has bounds for the exporter.

// Implements `observer::Observer`; the core doesn't depend on this module.

#[cfg(feature = "batch")]
mod batch;
mod bounds;
mod builder;
#[cfg(feature = "cache")]
mod cache;
mod catalogue;
mod export;
mod histograms;
mod instruments;
mod names;
#[cfg(feature = "redis")]
mod redis;
mod reporter;
mod totals;

pub use bounds::buckets;
pub use builder::Metrics;
