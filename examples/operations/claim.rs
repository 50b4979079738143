//! Claims that are checked: of the scenarios here, and of the acts of `resilience`.

use std::{error::Error, fmt};

#[derive(Debug)]
pub(crate) struct FalseClaim(String);

impl fmt::Display for FalseClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this claim doesn't hold: {}", self.0)
    }
}

impl Error for FalseClaim {}

/// Prints a claim. A scenario or act ends at its first false one, as later output would be misleading.
pub(crate) fn claim(holds: bool, text: impl fmt::Display) -> Result<(), FalseClaim> {
    println!("  {} {text}", if holds { "✓" } else { "✗" });
    if holds { Ok(()) } else { Err(FalseClaim(text.to_string())) }
}
