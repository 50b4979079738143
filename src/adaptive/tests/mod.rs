//! What is learned: by the estimator alone, by simulation, and in a coalescer whose clock is paused.

mod estimates;
mod limits;
mod options;
mod simulation;
