//! The code of the guide is compiled here, as nothing else in the workspace needs what it uses.
#![doc = include_str!("../../docs/guide/resilience.md")]
