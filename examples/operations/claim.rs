//! What an act says, and whether it is true.

use std::{error::Error, fmt};

#[derive(Debug)]
pub(crate) struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this claim doesn't hold: {}", self.0)
    }
}

impl Error for Broken {}

/// An act goes no further than its first claim that is wrong: what comes after it would only confuse.
pub(crate) fn claim(holds: bool, text: impl fmt::Display) -> Result<(), Broken> {
    println!("  {} {text}", if holds { "✓" } else { "✗" });
    if holds { Ok(()) } else { Err(Broken(text.to_string())) }
}
