//! The server on a real socket: slow and silent clients, headers without end, the drain.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::{Router, routing};
use platform::http::{HttpConfig, server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{Kit, routes};

struct Running {
    address: SocketAddr,
    stopping: CancellationToken,
    tasks: JoinSet<()>,
}

async fn start(adjust: impl FnOnce(&mut HttpConfig)) -> Running {
    let mut config = HttpConfig {
        header_timeout_seconds: 1,
        ..HttpConfig::default()
    };
    adjust(&mut config);
    let router = Router::new().route("/quick", routing::get(|| async { "ok" })).route(
        "/slow",
        routing::get(|| async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            "done"
        }),
    );
    serve(router, config).await
}

async fn serve(router: Router, config: HttpConfig) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("works");
    let (address, stopping) = (listener.local_addr().expect("works"), CancellationToken::new());
    let mut tasks = JoinSet::new();
    tasks.spawn(server::serve(listener, router, config, stopping.clone()));
    Running { address, stopping, tasks }
}

/// What comes back until the server closes or `patience` ends, and whether it closed.
async fn say(address: SocketAddr, text: &[u8], patience: Duration) -> (String, bool) {
    let mut stream = TcpStream::connect(address).await.expect("works");
    stream.write_all(text).await.expect("works");
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(patience, stream.read_to_end(&mut answer)).await.is_ok();
    (String::from_utf8_lossy(&answer).into_owned(), closed)
}

const PATIENCE: Duration = Duration::from_secs(6);

#[tokio::test]
async fn it_answers_and_keeps_the_connection() {
    let running = start(|_| {}).await;
    let two = b"GET /quick HTTP/1.1\r\nhost: x\r\n\r\nGET /quick HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let (answer, closed) = say(running.address, two, PATIENCE).await;
    assert!(closed && answer.matches("200 OK").count() == 2, "{answer}");
}

/// The body here never comes.
#[tokio::test]
async fn a_declared_length_is_refused_before_the_body_comes() {
    let kit = Kit::with(|config| config.max_body_bytes = 1_000, routes());
    let running = serve(kit.router, HttpConfig::default()).await;
    let head = b"POST /v1/things HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1001\r\n\r\n";
    let (answer, closed) = say(running.address, head, PATIENCE).await;
    assert!(closed && answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn silent_and_slow_clients_lose_their_place() {
    let running = start(|config| config.max_connections = 4).await;
    let started = Instant::now();
    // Nothing at all, half of a request line, half of the HTTP/2 preface, headers without end.
    let starts: [&[u8]; 4] = [b"", b"GET /qui", b"PRI * HTTP/2.0\r\n", b"GET /quick HTTP/1.1\r\nhost: x\r\n"];
    let answers = futures_util::future::join_all(starts.map(|start| say(running.address, start, PATIENCE))).await;
    assert!(answers.iter().all(|(_, closed)| *closed), "{answers:?}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let (answer, _) = say(
        running.address,
        b"GET /quick HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        PATIENCE,
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn headers_are_bounded_in_number_and_size() {
    let running = start(|_| {}).await;
    let many: String = (0..200).map(|number| format!("x-{number}: 1\r\n")).collect();
    let large = format!("x-large: {}\r\n", "a".repeat(64 * 1024));
    for headers in [many, large] {
        let text = format!("GET /quick HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        // The server may close before everything is written.
        let _ = stream.write_all(text.as_bytes()).await;
        let mut answer = [0; 12];
        let read = stream.read(&mut answer).await.unwrap_or(0);
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(answer.is_empty() || answer == "HTTP/1.1 431", "{answer}");
    }
}

#[tokio::test]
async fn the_drain_ends_running_requests_and_drops_silent_connections() {
    let mut running = start(|config| config.header_timeout_seconds = 30).await;
    let silent = TcpStream::connect(running.address).await.unwrap();
    let address = running.address;
    let mut asking = JoinSet::new();
    asking.spawn(async move { say(address, b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n", PATIENCE).await });
    tokio::time::sleep(Duration::from_millis(150)).await;
    running.stopping.cancel();
    let (answer, closed) = asking.join_next().await.unwrap().unwrap();
    assert!(closed && answer.ends_with("done"), "{answer}");
    let ended = tokio::time::timeout(Duration::from_secs(3), running.tasks.join_next()).await;
    assert!(ended.is_ok(), "the silent connection holds the process");
    assert!(TcpStream::connect(address).await.is_err(), "no new connections");
    drop(silent);
}
