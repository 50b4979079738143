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
