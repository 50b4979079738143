//! Commands that say what they are before they run.

use std::{
    env,
    ffi::OsStr,
    fmt::Display,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What went wrong, in a sentence.
pub(crate) struct Failure(pub(crate) String);

impl Failure {
    pub(crate) fn of(what: impl Display) -> impl FnOnce(io::Error) -> Self {
        move |error| Self(format!("{what}: {error}"))
    }
}

/// The directory of the whole project.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the project").to_path_buf()
}

pub(crate) struct Run {
    command: Command,
    /// For a person to read, and to repeat.
    said: String,
}

/// Cargo, in the project's directory.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Run {
    arguments.into_iter().fold(program("cargo"), Run::arg)
}

/// Any program, in the project's directory.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Run {
    // Not the cargo that runs us: `+nightly` is for rustup's.
    let mut command = Command::new(&name);
    command.current_dir(root()).env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    Run { command, said: name.as_ref().display().to_string() }
}

impl Run {
    pub(crate) fn arg<S: AsRef<OsStr>>(mut self, argument: S) -> Self {
        self.said = format!("{} {}", self.said, argument.as_ref().display());
        self.command.arg(argument);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Display) -> Self {
        let value = value.to_string();
        self.said = format!("{name}='{value}' {}", self.said);
        self.command.env(name, value);
        self
    }

    pub(crate) fn inside(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    pub(crate) fn without_environment(mut self) -> Self {
        self.command.env_clear();
        self
    }

    /// Runs it with its errors where ours go, and gives back what else it said.
    pub(crate) fn output(mut self) -> Result<String, Failure> {
        let output = self.command.stderr(Stdio::inherit()).output().map_err(Failure::of(&self.said))?;
        if !output.status.success() {
            return Err(Failure(format!("{}: {}", self.said, output.status)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs it with its output where ours goes.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        eprintln!("$ {}", self.said);
        let status = self.command.status().map_err(Failure::of(&self.said))?;
        if status.success() { Ok(()) } else { Err(Failure(format!("{}: {status}", self.said))) }
    }

    /// Runs it with its output into a file; `None` if it took longer than it may, and was ended.
    pub(crate) fn run_silently(mut self, output: &Path, limit: Duration) -> Result<Option<ExitStatus>, Failure> {
        let file = std::fs::File::create(output).map_err(Failure::of(output.display()))?;
        let errors = file.try_clone().map_err(Failure::of(output.display()))?;
        let begun = Instant::now();
        let mut child = self
            .command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .map_err(Failure::of(&self.said))?;
        loop {
            if let Some(status) = child.try_wait().map_err(Failure::of(&self.said))? {
                return Ok(Some(status));
            }
            if begun.elapsed() > limit {
                end_group(child.id()).and_then(|()| child.wait()).map_err(Failure::of(&self.said))?;
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Ends a process and those that it started: cargo's end is not its tests'.
fn end_group(leader: u32) -> io::Result<()> {
    Command::new("kill").args(["-KILL", "--", &format!("-{leader}")]).status().map(drop)
}
