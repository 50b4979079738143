//! x
mod history;
