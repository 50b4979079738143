//! The operator's controls once more, from the side of what they must not do.

mod building;
mod caps;
mod corners;
mod deadlines;
mod reentrancy;
mod rollout;
mod scopes;
mod shutdown;
mod threads;
mod waiting;
