//! What an operator's dashboards are fed with. Each test has a recorder of its own: it is the thread's while the coalescer
//! is built, which takes it along.

mod agreement;
mod dashboard;
mod exported;
mod figures;
#[path = "../behaviour/heard.rs"]
mod heard;
mod hostile;
#[path = "../behaviour/support.rs"]
#[expect(dead_code, reason = "the behaviours' as well, and they need more of it")]
mod support;
mod timing;
