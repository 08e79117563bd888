//! A closed loop: each connection sends its next request when it has the answer to the one before.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::{Failure, Outcome, fail};

/// Before anything is counted: connections, caches and prepared statements.
pub const WARM_UP: Duration = Duration::from_millis(250);
/// Longest latency told apart, nanoseconds.
const LONGEST: u64 = 120_000_000_000;

/// What was measured in one go.
#[derive(Debug, Clone)]
pub struct Slice {
    /// Nanoseconds.
    pub latency: Histogram<u64>,
    pub seconds: f64,
    /// Bytes of the last body.
    pub body_bytes: usize,
}

impl Slice {
    pub fn new(seconds: f64) -> Outcome<Self> {
        Ok(Self {
            latency: Histogram::new_with_bounds(100, LONGEST, 3)?,
            seconds,
            body_bytes: 0,
        })
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 requests")]
    pub fn rate(&self) -> f64 {
        self.latency.len() as f64 / self.seconds
    }
    pub fn add(&mut self, other: &Self) -> Outcome<()> {
        self.latency.add(&other.latency)?;
        self.body_bytes = self.body_bytes.max(other.body_bytes);
        Ok(())
    }
    pub fn record(&mut self, took: Duration) {
        self.latency.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(LONGEST));
    }
}

/// When to count and when to end; the same for all workers.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub from: Instant,
    pub until: Instant,
}

impl Window {
    pub fn open(seconds: f64) -> Self {
        let from = Instant::now() + WARM_UP;
        Self {
            from,
            until: from + Duration::from_secs_f64(seconds),
        }
    }
}

/// The requests of a case.
pub trait Traffic: Send + Sync + 'static {
    fn request(&self, worker: usize, turn: u64) -> Request<Full<Bytes>>;
    fn expected(&self) -> StatusCode;
    /// For requests that depend on the answer before.
    fn answered(&self, _worker: usize, _body: &Bytes) -> Outcome<()> {
        Ok(())
    }
}

/// One connection.
pub struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// Ends with the connection.
    _driver: JoinSet<()>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // Whoever waits for an answer learns of a broken connection.
            let _ = connection.await;
        });
        Ok(Self { sender, _driver: driver })
    }

    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Outcome<(StatusCode, Bytes)> {
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }
}

/// Any answer but the expected one ends the benchmark: rates of errors are worth nothing.
pub async fn measure(address: SocketAddr, connections: usize, seconds: f64, traffic: Arc<dyn Traffic>) -> Outcome<Slice> {
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(Connection::open(address).await?);
    }
    let window = Window::open(seconds);
    let mut workers = JoinSet::new();
    for (worker, connection) in open.into_iter().enumerate() {
        let traffic = Arc::clone(&traffic);
        workers.spawn(work(connection, worker, window, seconds, traffic));
    }
    let mut total = Slice::new(seconds)?;
    while let Some(done) = workers.join_next().await {
        total.add(&done??)?;
    }
    if total.latency.is_empty() {
        return fail("not one request was answered in time");
    }
    Ok(total)
}

async fn work(
    mut connection: Connection,
    worker: usize,
    window: Window,
    seconds: f64,
    traffic: Arc<dyn Traffic>,
) -> Result<Slice, Failure> {
    let mut slice = Slice::new(seconds)?;
    let expected = traffic.expected();
    let mut turn = 0;
    loop {
        let request = traffic.request(worker, turn);
        turn += 1;
        let begun = Instant::now();
        let (status, body) = connection.send(request).await?;
        let ended = Instant::now();
        if status != expected {
            return fail(format!("{status} instead of {expected}: {}", String::from_utf8_lossy(&body)));
        }
        traffic.answered(worker, &body)?;
        if ended >= window.from && ended <= window.until {
            slice.record(ended - begun);
            slice.body_bytes = body.len();
        }
        if ended >= window.until {
            return Ok(slice);
        }
    }
}
