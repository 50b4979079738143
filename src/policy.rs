//! Choices a user makes once, when building.

/// What happens to work whose last caller has left (G10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnAbandon {
    /// Let the work run to its end. Callers that join before then share it.
    #[default]
    Finish,
    /// Drop the work and forget the flight in one step: nobody ever joins a flight that is being aborted.
    ///
    /// The future is dropped at its next await point, as with [`tokio::task::AbortHandle::abort`]; a thread that it
    /// blocks is not interrupted.
    Abort,
}

/// What happens to a flight that outlives the coalescer's `max_flight_duration` (G11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnExpiry {
    /// Answer every caller with [`JoinError::TimedOut`](crate::JoinError::TimedOut), drop the work at its next await
    /// point, and let the next join start anew.
    #[default]
    Fail,
    /// Let the next join start anew, and leave the work running and its callers waiting for it: they get its late answer,
    /// and only their own [`max_wait`](crate::Handle::with_max_wait) ends their wait.
    ///
    /// Work that never ends then piles up, one execution per `max_flight_duration` and key, until `max_flights` refuses
    /// more. Choose it where slow answers are still worth having.
    Detach,
}
