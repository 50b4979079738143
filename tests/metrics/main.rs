//! Behaviour tests of the exported metrics. Each test sets a thread-local recorder of its own while it builds its coalescer,
//! which keeps that recorder.

mod agreement;
mod alerts;
mod cache;
mod dashboard;
#[path = "../behaviour/events.rs"]
#[expect(dead_code, reason = "the behaviour tests need more of it")]
mod events;
mod exported;
mod hostile;
mod late;
mod names;
mod passes;
#[path = "../behaviour/support.rs"]
#[expect(dead_code, reason = "the behaviour tests need more of it")]
mod support;
mod tenants;
mod timing;
mod totals;
