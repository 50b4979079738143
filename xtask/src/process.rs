//! Commands, which are printed before they run.

use std::{
    ffi::OsStr,
    fmt::Display,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio, exit},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// An error message.
pub(crate) struct Failure(pub(crate) String);

impl Failure {
    pub(crate) fn of(what: impl Display) -> impl FnOnce(io::Error) -> Self {
        move |error| Self(format!("{what}: {error}"))
    }
}

/// The directory of the whole project.
pub(crate) fn root() -> &'static Path {
    &PLACES.root
}

/// Cargo's target directory, which also holds all other outputs.
pub(crate) fn target() -> &'static Path {
    &PLACES.target
}

/// Found at run time, as the project or its target directory may have moved since the build.
static PLACES: LazyLock<Places> = LazyLock::new(|| {
    Places::find().unwrap_or_else(|Failure(sentence)| {
        eprintln!("{sentence}");
        exit(1)
    })
});

struct Places {
    root: PathBuf,
    target: PathBuf,
}

impl Places {
    fn find() -> Result<Self, Failure> {
        let said = Run::of("cargo").args(["metadata", "--no-deps", "--format-version", "1"]).output()?;
        let said: Value =
            serde_json::from_str(&said).map_err(|error| Failure(format!("what cargo metadata says: {error}")))?;
        let place = |name| said[name].as_str().map(PathBuf::from);
        match (place("workspace_root"), place("target_directory")) {
            (Some(root), Some(target)) => Ok(Self { root, target }),
            _ => Err(Failure("cargo metadata doesn't say where the project is".into())),
        }
    }
}

pub(crate) struct Run {
    command: Command,
    /// The command line, for printing.
    said: String,
}

/// Cargo, in the project's directory.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Run {
    program("cargo").args(arguments)
}

/// Any program, in the project's directory.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Run {
    Run::of(name).inside(root())
}

impl Run {
    fn of(name: impl AsRef<OsStr>) -> Self {
        // Use rustup's cargo instead of the one that runs this, as only that one knows `+nightly`.
        let mut command = Command::new(&name);
        command.env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
        Self { command, said: name.as_ref().display().to_string() }
    }

    pub(crate) fn args<S: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = S>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

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

    /// Runs the command with inherited stderr, and returns its stdout.
    pub(crate) fn output(mut self) -> Result<String, Failure> {
        let output = self.command.stderr(Stdio::inherit()).output().map_err(Failure::of(&self.said))?;
        if !output.status.success() {
            return Err(Failure(format!("{}: {}", self.said, output.status)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs the command with inherited output.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        eprintln!("$ {}", self.said);
        let status = self.command.status().map_err(Failure::of(&self.said))?;
        if status.success() { Ok(()) } else { Err(Failure(format!("{}: {status}", self.said))) }
    }

    /// Runs the command with its output in a file. `None` if it exceeded the limit and was killed.
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

/// Kills a process group: cargo's tests would outlive cargo.
fn end_group(leader: u32) -> io::Result<()> {
    Command::new("kill").args(["-KILL", "--", &format!("-{leader}")]).status().map(drop)
}
