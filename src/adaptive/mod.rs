//! A time limit of flights that is learned from how long they take. The core knows it as a
//! [`FlightLimit`](crate::flight_limit::FlightLimit).

mod builder;
mod durations;
mod error;
mod learner;
mod options;

#[cfg(all(test, not(shardflight_shuttle)))]
mod tests;

pub use self::{error::InvalidAdaptive, options::Adaptive};
