//! The slow backend that all replicas share, in the director's process: it counts, and serves a few at a time.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::sleep,
};

/// Queries that run at once, as a database has so many connections.
const CAPACITY: usize = 4;

#[derive(Debug)]
pub(crate) struct Backend {
    address: SocketAddr,
    queries: Arc<Queries>,
}

#[derive(Debug)]
struct Queries {
    /// The replica of each since [`Backend::hold`].
    replicas: Mutex<Vec<u32>>,
    are_held: watch::Sender<bool>,
    room: Semaphore,
}

impl Backend {
    /// On loopback, until the runtime ends.
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let queries = Arc::new(Queries {
            replicas: Mutex::default(),
            are_held: watch::Sender::default(),
            room: Semaphore::new(CAPACITY),
        });
        let shared = Arc::clone(&queries);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Ok(Self { address, queries })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn executions(&self) -> u64 {
        self.queries.lock().len() as u64
    }

    /// The replica whose query came first.
    pub(crate) fn first(&self) -> Option<u32> {
        self.queries.lock().first().copied()
    }

    /// Counts from zero, and answers no query until [`release`](Self::release).
    pub(crate) fn hold(&self) {
        self.queries.lock().clear();
        self.queries.are_held.send_replace(true);
    }

    pub(crate) fn release(&self) {
        self.queries.are_held.send_replace(false);
    }
}

impl Queries {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One query: `REPLICA MILLISECONDS PAGE`. A client that is gone is noticed when it is answered.
async fn serve(stream: TcpStream, queries: Arc<Queries>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "no query");
    let (replica, milliseconds, page) = parse(&line).ok_or_else(malformed)?;
    queries.lock().push(replica);
    // Its sender is as long-lived as this.
    let _ = queries.are_held.subscribe().wait_for(|are_held| !are_held).await;
    let permit = queries.room.acquire().await;
    sleep(Duration::from_millis(milliseconds)).await;
    drop(permit);
    stream.get_mut().write_all(format!("{}\n", content(page)).as_bytes()).await
}

fn parse(line: &str) -> Option<(u32, u64, &str)> {
    let mut parts = line.trim_end().splitn(3, ' ');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?))
}

fn content(page: &str) -> String {
    format!("content of {page}")
}

/// A replica's query. The right answer or an error.
pub(crate) async fn query(
    backend: SocketAddr,
    replica: u32,
    milliseconds: u64,
    page: String,
) -> Result<String, String> {
    let ask = async {
        let mut stream = BufReader::new(TcpStream::connect(backend).await?);
        stream.get_mut().write_all(format!("{replica} {milliseconds} {page}\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_line(&mut answer).await?;
        io::Result::Ok(answer)
    };
    let answer = ask.await.map_err(|error| format!("the backend: {error}"))?;
    if is_content(&answer, &page) { Ok(answer) } else { Err(format!("the backend says {answer:?}")) }
}

/// Whether a caller got what it asked for.
pub(crate) fn is_content(answer: &str, page: &str) -> bool {
    answer.trim_end() == content(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read() {
        assert_eq!(parse("3 300 leader killed: page 1\n"), Some((3, 300, "leader killed: page 1")));
        for line in ["", "3\n", "3 300\n", "x 300 page\n", "3 x page\n"] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }

    #[tokio::test]
    async fn counts_the_queries_of_each_replica() {
        let backend = Backend::start().await.unwrap();
        for replica in [2, 1] {
            let answer = query(backend.address(), replica, 0, "page 7".into()).await.unwrap();
            assert!(is_content(&answer, "page 7") && !is_content(&answer, "page 8"), "{answer}");
        }
        assert_eq!((backend.executions(), backend.first()), (2, Some(2)));
        backend.hold();
        assert_eq!((backend.executions(), backend.first()), (0, None));
        let held = tokio::spawn(query(backend.address(), 3, 0, "page 7".into()));
        while backend.executions() == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(!held.is_finished());
        backend.release();
        held.await.unwrap().unwrap();
    }
}
