//! What the benches that measure have in common as commands.

use std::{error::Error, fs, path::Path, process::ExitCode};

use clap::Parser;
use serde_json::Value;

pub(crate) type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Runs what the arguments ask for, and says what went wrong.
pub(crate) fn main<A: Parser>(run: impl FnOnce(&A) -> Fallible<()>) -> ExitCode {
    match run(&A::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", A::command().get_name());
            ExitCode::FAILURE
        }
    }
}

/// To where `--json` says.
pub(crate) fn write_json(path: &Path, value: &Value) -> Fallible<()> {
    fs::write(path, format!("{value:#}\n")).map_err(|error| format!("--json {}: {error}", path.display()).into())
}
