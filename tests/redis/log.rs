//! What an operator finds in the log.

use std::{
    io::{self, Write},
    sync::{Mutex, OnceLock},
};

use crate::{
    server::{Server, is_missing},
    support::{Count, at_once, builder, limited, node_of, until},
};

/// Of all tests of this process: connections live on threads of their own, so no thread's own subscriber hears of them.
fn logged() -> &'static Mutex<Vec<u8>> {
    static LOGGED: OnceLock<Mutex<Vec<u8>>> = OnceLock::new();
    LOGGED.get_or_init(|| {
        tracing_subscriber::fmt().with_ansi(false).with_writer(|| Log).init();
        Mutex::default()
    })
}

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        logged().lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn says_why_it_cant_connect() {
    if is_missing() {
        return;
    }
    limited(async {
        logged();
        let server = Server::start();
        redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("secret").exec(&mut server.connect()).unwrap();
        let node = node_of(builder(&server).namespace("without-password"));
        let runs = Count::default();
        node.join("key", at_once(&runs, "own")).await.unwrap();
        until("the refusal is logged", || {
            let logged = String::from_utf8(logged().lock().unwrap().clone()).unwrap();
            let mut lines = logged.lines().filter(|line| line.contains("without-password"));
            lines.any(|line| line.contains("cluster connection failed") && line.contains("NOAUTH"))
        })
        .await;
    })
    .await;
}
