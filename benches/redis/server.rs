//! A redis-server on a free port of the loopback, with nothing on disk.

use std::{
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use redis::{Client, RedisResult};

use crate::command::Fallible;

const START: Duration = Duration::from_secs(5);

/// Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    port: u16,
}

impl Server {
    pub(crate) fn start() -> Fallible<Self> {
        let port = free_port()?;
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--daemonize", "no", "--loglevel", "warning"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("redis-server: {error}; Debian's package redis-server has it"))?;
        let server = Self { child, port };
        let deadline = Instant::now() + START;
        while server.ping().is_err() {
            if Instant::now() > deadline {
                return Err(format!("redis-server doesn't answer on port {port}").into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}?protocol=resp3", self.port)
    }

    fn ping(&self) -> RedisResult<()> {
        redis::cmd("PING").exec(&mut Client::open(self.url())?.get_connection_with_timeout(START)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nothing listens on it.
pub(crate) fn free_port() -> Fallible<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
