//! Behaviour tests of `shardflight::batch`, one behaviour per test.
//!
//! Unless a test is about threads, the clock is paused and no test sleeps to wait for something. Gates hold loaders back.

mod answers;
mod collecting;
mod cycles;
mod ends;
mod hostile;
mod support;
mod telling;
mod threads;
