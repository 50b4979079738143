//! Replicas as processes: this bench, started again, doing what its standard input says.

use std::{
    env,
    io::{BufRead, BufReader, Write, stdin},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinSet, time::sleep};

use crate::{
    command::Fallible,
    measure::{node, runtime},
};

const PROCESSES: u64 = 8;
/// All of them ask for one key, so many each.
const CALLERS: u64 = 125;
/// Longer than the slowest process takes to hear of the window.
const WORK: Duration = Duration::from_millis(100);

/// A process's part: a window per line, `KEY` across the cluster or `KEY alone`. Says how often it ran the work.
pub(crate) fn replica(url: &str) -> Fallible<()> {
    let runtime = runtime(1);
    let node = runtime.block_on(async { node(url) })?;
    println!("ready");
    for line in stdin().lock().lines() {
        let line = line?;
        let (key, is_alone) = line.strip_suffix(" alone").map_or((line.as_str(), false), |key| (key, true));
        let key: u64 = key.parse()?;
        let executions = runtime.block_on(async {
            let executions = Arc::new(AtomicU64::new(0));
            let mut callers = JoinSet::new();
            for _ in 0..CALLERS {
                let counted = Arc::clone(&executions);
                let work = move || async move {
                    counted.fetch_add(1, Ordering::Relaxed);
                    sleep(WORK).await;
                    key
                };
                if is_alone {
                    callers.spawn(node.local().join(key, work))
                } else {
                    callers.spawn(node.join(key, work))
                };
            }
            for answer in callers.join_all().await {
                assert_eq!(answer, Ok(key));
            }
            executions.load(Ordering::Relaxed)
        });
        println!("{executions}");
    }
    Ok(())
}

/// Their standard input ends with them, and they with it.
pub(crate) struct Replicas(Vec<Replica>);

struct Replica {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Replicas {
    pub(crate) fn start(url: &str) -> Fallible<Self> {
        let mut replicas = Self(Vec::new());
        for _ in 0..PROCESSES {
            let mut child = Command::new(env::current_exe()?)
                .args(["--replica", url])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let (input, output) = (child.stdin.take().ok_or("no input")?, child.stdout.take().ok_or("no output")?);
            replicas.0.push(Replica { child, input, output: BufReader::new(output) });
        }
        for replica in &mut replicas.0 {
            replica.line()?;
        }
        Ok(replicas)
    }

    /// How often work ran for a thousand requests for one key, all at the same time.
    pub(crate) fn window(&mut self, key: u64, is_alone: bool) -> Fallible<f64> {
        let line = format!("{key}{}\n", if is_alone { " alone" } else { "" });
        for replica in &mut self.0 {
            replica.input.write_all(line.as_bytes())?;
        }
        let mut executions = 0;
        for replica in &mut self.0 {
            executions += replica.line()?.parse::<u64>()?;
        }
        Ok(executions as f64)
    }
}

impl Replica {
    fn line(&mut self) -> Fallible<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
