//! The replicas, as the director sees them.

use std::{env, net::SocketAddr, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    sync::mpsc,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    Fallible,
    bars::Bars,
    protocol::{Ask, Numbers, Order, Report},
    tally::Answers,
};

/// Longer than anything here takes, unless it never ends.
pub(crate) const WAIT_LIMIT: Duration = Duration::from_mins(1);
pub(crate) const INTERVAL: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) replicas: Vec<Process>,
    heard: mpsc::UnboundedReceiver<(usize, Report)>,
    tell: mpsc::UnboundedSender<(usize, Report)>,
    backend: SocketAddr,
    redis: String,
}

/// Killed when it is dropped. If this process dies first, its standard input ends, and it ends with it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    is_ready: bool,
    pub(crate) was_killed: bool,
    pub(crate) answers: Answers,
    pub(crate) numbers: Option<Numbers>,
}

impl Fleet {
    pub(crate) async fn start(replicas: usize, backend: SocketAddr, redis: String) -> Fallible<Self> {
        let (tell, heard) = mpsc::unbounded_channel();
        let mut fleet = Self { replicas: Vec::new(), heard, tell, backend, redis };
        for number in 0..replicas {
            let replica = fleet.spawn(number)?;
            fleet.replicas.push(replica);
        }
        fleet.until_ready().await?;
        Ok(fleet)
    }

    fn spawn(&self, number: usize) -> Fallible<Process> {
        let mut child = Command::new(env::current_exe()?)
            .args(["replica", "--number", &number.to_string()])
            .args(["--backend", &self.backend.to_string(), "--redis", &self.redis])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let (out, tell) = (child.stdout.take().ok_or("no output")?, self.tell.clone());
        tokio::spawn(async move {
            let mut lines = BufReader::new(out).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(report) = serde_json::from_str(&line) {
                    let _ = tell.send((number, report));
                }
            }
        });
        Ok(Process { child, is_ready: false, was_killed: false, answers: Answers::default(), numbers: None })
    }

    async fn until_ready(&mut self) -> Fallible<()> {
        self.until("the replicas to start", None, |fleet| fleet.live().all(|replica| replica.is_ready)).await
    }

    pub(crate) fn live(&self) -> impl Iterator<Item = &Process> {
        self.replicas.iter().filter(|replica| !replica.was_killed)
    }

    /// Listens to the replicas until the condition holds.
    async fn until(&mut self, awaited: &str, bars: Option<&Bars>, condition: impl Fn(&Self) -> bool) -> Fallible<()> {
        let deadline = Instant::now() + WAIT_LIMIT;
        while !condition(self) {
            let Ok(Some((number, report))) = timeout_at(deadline, self.heard.recv()).await else {
                return Err(format!("waited {WAIT_LIMIT:?} for {awaited}").into());
            };
            let replica = &mut self.replicas[number];
            match report {
                Report::Ready => replica.is_ready = true,
                Report::Counted(numbers) => replica.numbers = Some(numbers),
                Report::Answered { microseconds, error } => {
                    replica.answers.add(Duration::from_micros(microseconds), error);
                    bars.inspect(|bars| bars.answered(number));
                }
            }
        }
        Ok(())
    }

    pub(crate) async fn ask(&mut self, ask: &Ask) -> Fallible<()> {
        self.replicas.iter_mut().for_each(|replica| replica.answers = Answers::default());
        self.tell(&Order::Ask(ask.clone())).await
    }

    pub(crate) async fn until_answered(&mut self, ask: &Ask, bars: &Bars) -> Fallible<()> {
        let requests = ask.requests();
        self.until("answers", Some(bars), |fleet| fleet.live().all(|replica| replica.answers.all() == requests)).await
    }

    async fn tell(&mut self, order: &Order) -> Fallible<()> {
        let line = format!("{}\n", serde_json::to_string(order)?);
        for replica in self.replicas.iter_mut().filter(|replica| !replica.was_killed) {
            let input = replica.child.stdin.as_mut().ok_or("no input")?;
            input.write_all(line.as_bytes()).await?;
            input.flush().await?;
        }
        Ok(())
    }

    /// What the tier has done so far, in each replica.
    pub(crate) async fn count(&mut self) -> Fallible<Vec<Numbers>> {
        self.replicas.iter_mut().for_each(|replica| replica.numbers = None);
        self.tell(&Order::Count).await?;
        self.until("numbers", None, |fleet| fleet.live().all(|replica| replica.numbers.is_some())).await?;
        Ok(self.replicas.iter().map(|replica| replica.numbers.unwrap_or_default()).collect())
    }

    /// Counts again and again until the condition holds.
    pub(crate) async fn until_counted(
        &mut self,
        awaited: &str,
        condition: impl Fn(&[Numbers]) -> bool,
    ) -> Fallible<()> {
        let deadline = Instant::now() + WAIT_LIMIT;
        while !condition(&self.count().await?) {
            if Instant::now() > deadline {
                return Err(format!("waited {WAIT_LIMIT:?} for {awaited}").into());
            }
            sleep(INTERVAL).await;
        }
        Ok(())
    }

    /// As by the kernel: at once, and without a word.
    pub(crate) async fn kill(&mut self, number: usize) -> Fallible<()> {
        self.replicas[number].child.kill().await?;
        self.replicas[number].was_killed = true;
        Ok(())
    }

    /// Starts new ones in place of those that were killed.
    pub(crate) async fn replace_the_killed(&mut self) -> Fallible<()> {
        for number in 0..self.replicas.len() {
            if self.replicas[number].was_killed {
                self.replicas[number] = self.spawn(number)?;
            }
        }
        self.until_ready().await
    }

    /// Waits until all are gone.
    pub(crate) async fn end(mut self) -> Fallible<()> {
        for replica in &mut self.replicas {
            drop(replica.child.stdin.take());
            replica.child.wait().await?;
        }
        Ok(())
    }
}
