//! Tests of the live page at the level of HTTP. What a browser makes of it is tested in `tests/browser`.

mod actions;
mod options;
mod page;
mod shown;
mod stops;
#[path = "../behaviour/support.rs"]
#[expect(dead_code, reason = "the behaviour tests need more of it")]
mod support;
mod viewer;
mod viewers;
