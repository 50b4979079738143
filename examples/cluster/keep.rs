//! Runs a command for as long as the director lives: a server doesn't notice by itself that the process that started it is gone.

use std::{
    io::{Read, stdin},
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use clap::Args;

use crate::Fallible;

/// How often to look whether the command has ended by itself.
const INTERVAL: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
pub(crate) struct Keep {
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
}

/// Says the process's number, and kills it when standard input ends.
pub(crate) fn run(keep: &Keep) -> Fallible<()> {
    let [program, arguments @ ..] = &keep.command[..] else { return Err("no command".into()) };
    let (sender, ended) = channel::<()>();
    // It ends with its sender, or with this process.
    thread::spawn(move || {
        let _sender = sender;
        let mut ignored = [0; 64];
        while matches!(stdin().read(&mut ignored), Ok(1..)) {}
    });
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // Not to be reached by a Ctrl-C, which the director answers by ending all.
        .process_group(0)
        .spawn()?;
    println!("{}", child.id());
    while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        if let Some(status) = child.try_wait()? {
            return Err(format!("{program} has ended: {status}").into());
        }
    }
    // A process that is stopped is killed all the same.
    child.kill()?;
    child.wait()?;
    Ok(())
}
