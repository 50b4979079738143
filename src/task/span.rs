//! Work under the span of its flight.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tracing::{Instrument, Span, instrument::Instrumented};

use crate::{
    engine::Record,
    trace,
    unwind::{Contained, catch, drop_contained},
};

/// The span of a flight. It is open for as long as this is: until the work has ended.
pub(crate) struct FlightSpan(Arc<Span>);

impl FlightSpan {
    /// For a new flight, led from `leader`. The flight keeps it for its followers, and doesn't keep it open. `None` if no
    /// subscriber wants it.
    ///
    /// Made as soon as the flight has a leader, not when its work is first polled: until it is made, the leader's span has to
    /// stay open, and work may have to wait for a thread.
    pub(crate) fn open<V>(leader: Option<&Contained<Span>>, record: &Record<V>) -> Option<Self> {
        let span = Arc::new(trace::flight_span(leader?.get(), record.flight().id)?);
        record.set_span(Arc::downgrade(&span));
        Some(Self(span))
    }

    /// Of a flight whose span is open.
    pub(crate) fn of<V>(record: &Record<V>) -> Option<Self> {
        record.span().map(Self)
    }

    /// Runs `action` in the span, and closes it.
    pub(crate) fn run<T>(self, action: impl FnOnce() -> T) -> T {
        self.0.in_scope(action)
    }
}

/// The flight of this record has been joined by a caller in the current span, from which its own follows.
#[inline]
pub(crate) fn follow<V>(record: &Record<V>) {
    if !trace::hears_of_flights() {
        return;
    }
    let Some(span) = record.span() else { return };
    // The last owner of a span runs a subscriber, as all that is done with one does.
    let _ = catch(|| span.follows_from(Span::current()));
    drop_contained(span);
}

pin_project! {
    /// Work that is polled and dropped in the span of its flight.
    pub(crate) struct Spanned<W> {
        #[pin]
        work: Instrumented<W>,
        // After the work, and so dropped after it.
        span: Arc<Span>,
    }
}

impl<W> Spanned<W> {
    pub(crate) fn new(work: W, FlightSpan(span): FlightSpan) -> Self {
        Self { work: work.instrument((*span).clone()), span }
    }
}

impl<W: Future> Future for Spanned<W> {
    type Output = W::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().work.poll(cx)
    }
}
