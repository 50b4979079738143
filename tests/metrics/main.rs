//! What an operator's dashboards are fed with. Each test has a recorder of its own: it is the thread's while the coalescer
//! is built, which takes it along.

mod agreement;
mod dashboard;
#[path = "../behaviour/events.rs"]
#[expect(dead_code, reason = "the behaviour tests need more of it")]
mod events;
mod exported;
mod figures;
mod hostile;
#[path = "../behaviour/support.rs"]
#[expect(dead_code, reason = "the behaviour tests need more of it")]
mod support;
mod timing;
