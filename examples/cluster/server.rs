//! A Redis server of the example's own, on a free port of the loopback, with nothing on disk.

use std::{
    env, io,
    net::Ipv4Addr,
    process::{Command as Blocking, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::Fallible;

/// For a busy machine.
const START: Duration = Duration::from_secs(20);
/// A port that was free may be taken a moment later.
const ATTEMPTS: usize = 3;

/// Killed when it is dropped, and when this process dies in whichever way.
#[derive(Debug)]
pub(crate) struct Server {
    keeper: Child,
    process: u32,
    port: u16,
}

impl Server {
    pub(crate) async fn start(program: &str) -> Fallible<Self> {
        let found = Blocking::new(program).arg("--version").stdout(Stdio::null()).status();
        found.map_err(|error| missing(program, &error))?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match timeout(START, Self::start_once(program)).await {
                Ok(Ok(server)) => return Ok(server),
                Ok(Err(error)) => last = Some(error),
                Err(_) => last = Some(format!("{program} doesn't answer after {START:?}").into()),
            }
        }
        Err(last.unwrap_or_else(|| "no attempt".into()))
    }

    async fn start_once(program: &str) -> Fallible<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?.port();
        let mut keeper = Command::new(env::current_exe()?)
            .args(["keep", program, "--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "no", "--daemonize", "no", "--loglevel", "warning"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let mut said = String::new();
        BufReader::new(keeper.stdout.take().ok_or("no output")?).read_line(&mut said).await?;
        let process = said.trim().parse().map_err(|_| format!("{program} doesn't start"))?;
        let mut server = Self { keeper, process, port };
        while server.ask("PING").await.ok().as_deref() != Some("+PONG") {
            if let Some(status) = server.keeper.try_wait()? {
                return Err(format!("{program} doesn't start on port {port}: {status}").into());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn process(&self) -> u32 {
        self.process
    }

    /// The number of keys in it.
    pub(crate) async fn keys(&self) -> Fallible<u64> {
        self.number("DBSIZE").await
    }

    /// How many flights of an act's pages wait for those of other replicas.
    pub(crate) async fn followers(&self, act: &str) -> Fallible<u64> {
        // A field of a lease says who has it, and each of the others is a flight that waits.
        let count = format!(
            "local count = 0 for _, key in ipairs(redis.call('KEYS', '*{act}: page*:lease')) do \
             count = count + redis.call('HLEN', key) - 1 end return count"
        );
        self.number(&format!("EVAL \"{count}\" 0")).await
    }

    async fn number(&self, command: &str) -> Fallible<u64> {
        let answer = self.ask(command).await?;
        Ok(answer.trim_start_matches(':').parse().map_err(|_| format!("{command} is {answer}"))?)
    }

    /// It accepts, and doesn't answer any more.
    pub(crate) fn stop(&self) -> Fallible<()> {
        self.signal("-STOP")
    }

    pub(crate) fn go_on(&self) -> Fallible<()> {
        self.signal("-CONT")
    }

    fn signal(&self, name: &str) -> Fallible<()> {
        let status = Blocking::new("kill").arg(name).arg(self.process.to_string()).status()?;
        if status.success() { Ok(()) } else { Err(format!("kill {name} {}: {status}", self.process).into()) }
    }

    async fn ask(&self, command: &str) -> io::Result<String> {
        let mut stream = BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?);
        stream.get_mut().write_all(format!("{command}\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_line(&mut answer).await?;
        Ok(answer.trim_end().to_owned())
    }

    /// Waits until it is gone.
    pub(crate) async fn end(mut self) -> Fallible<()> {
        drop(self.keeper.stdin.take());
        self.keeper.wait().await?;
        Ok(())
    }
}

fn missing(program: &str, error: &io::Error) -> String {
    format!(
        "can't run {program}: {error}. Debian and Ubuntu have it in the package redis-server \
         (apt-get install redis-server); --server names another one, such as valkey-server"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_server_is_told_with_its_package() {
        let error = Server::start("no-such-redis-server").await.unwrap_err().to_string();
        for part in ["no-such-redis-server", "package redis-server", "--server"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
