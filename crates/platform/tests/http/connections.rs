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
    let many: String = (0..300).map(|number| format!("x-{number}: 1\r\n")).collect();
    let large = format!("x-large: {}\r\n", "a".repeat(256 * 1024));
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

/// Sends a head, waits, sends the body, and asks something else on the same connection.
async fn refused_then_again(address: SocketAddr, head: &str, body: &[u8]) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.expect("works");
    stream
        .write_all(format!("{head}\r\nhost: x\r\n\r\n").as_bytes())
        .await
        .expect("works");
    tokio::time::sleep(Duration::from_millis(60)).await;
    stream.write_all(body).await.expect("works");
    let first = one_answer(&mut stream).await;
    stream
        .write_all(b"GET /v1/public HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .expect("works");
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .expect("an end")
        .expect("works");
    (first, String::from_utf8_lossy(&rest).into_owned())
}

/// The next answer with its body, which has a length.
async fn one_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            if length.is_none_or(|length| body.len() >= length.parse().expect("a number")) {
                return text;
            }
        }
        let mut chunk = [0; 4096];
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut chunk))
            .await
            .expect("an answer")
            .expect("works");
        assert!(read > 0, "closed after {text:?}");
        answer.extend_from_slice(&chunk[..read]);
    }
}

#[tokio::test]
async fn a_refusal_leaves_the_connection_usable() {
    let kit = Kit::new();
    let token = kit.token();
    let running = serve(kit.router.clone(), HttpConfig::default()).await;
    let json = "content-type: application/json\r\ncontent-length: 12";
    let heads = [
        (format!("POST /v1/things HTTP/1.1\r\n{json}"), 401),
        (format!("POST /v1/things HTTP/1.1\r\nauthorization: Bearer nonsense\r\n{json}"), 401),
        (format!("POST /v1/nowhere HTTP/1.1\r\n{json}"), 404),
        (
            format!("DELETE /v1/things HTTP/1.1\r\nauthorization: Bearer {token}\r\n{json}"),
            405,
        ),
        (format!("POST /v1/things HTTP/1.1\r\naccept: text/html\r\n{json}"), 406),
        (
            format!("POST /v1/things HTTP/1.1\r\nauthorization: Bearer {token}\r\ncontent-type: text/plain\r\ncontent-length: 12"),
            415,
        ),
        (format!("GET /v1/public HTTP/1.1\r\n{json}"), 200),
    ];
    for (head, status) in heads {
        let (first, second) = refused_then_again(running.address, &head, b"{\"name\":\"x\"}").await;
        assert!(first.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {first}");
        assert!(second.starts_with("HTTP/1.1 200 "), "{head}: {second}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408_and_keeps_no_place() {
    let adjust = |config: &mut HttpConfig| {
        config.body_timeout_seconds = 1;
        config.max_in_flight = 1;
        config.max_queued = 0;
    };
    let running = serve(Kit::with(adjust, routes()).router, HttpConfig::default()).await;
    let head = b"POST /v1/things HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{";
    let mut slow = JoinSet::new();
    for _ in 0..8 {
        slow.spawn(say(running.address, head, PATIENCE));
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let quick = b"GET /v1/public HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let (answer, _) = say(running.address, quick, PATIENCE).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "the only place is free: {answer}");
    while let Some(ended) = slow.join_next().await {
        let (answer, closed) = ended.expect("works");
        assert!(
            answer.starts_with("HTTP/1.1 408 ") && answer.contains("request.body_timeout"),
            "{answer}"
        );
        assert!(closed && answer.to_lowercase().contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn who_sends_too_much_still_reads_why() {
    let adjust = |config: &mut HttpConfig| config.max_body_bytes = 1_000;
    let running = serve(Kit::with(adjust, routes()).router, HttpConfig::default()).await;
    // Much more than the buffers of a connection hold: a server that closed at once would reset it under the client.
    let body = vec![b'a'; 16 << 20];
    let head = |rest: &str| format!("POST /v1/things HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{rest}\r\n\r\n").into_bytes();
    let declared = [head("content-length: 16777216"), body.clone()].concat();
    let chunked = [
        head("transfer-encoding: chunked"),
        b"1000000\r\n".to_vec(),
        body,
        b"\r\n0\r\n\r\n".to_vec(),
    ]
    .concat();
    for request in [declared, chunked] {
        let (answer, closed) = say(running.address, &request, PATIENCE).await;
        assert!(
            closed && answer.starts_with("HTTP/1.1 413 ") && answer.contains("request.too_large"),
            "{answer}"
        );
    }
    // Who asks first is told at once, and sends nothing.
    let asking = head("content-length: 16777216\r\nexpect: 100-continue");
    let (answer, closed) = say(running.address, &asking, Duration::from_secs(3)).await;
    assert!(closed && answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn one_address_sends_only_so_many_slow_bodies() {
    let running = serve(Kit::new().router, HttpConfig::default()).await;
    let head = b"POST /v1/things HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{";
    let mut held = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(running.address).await.expect("works");
        stream.write_all(head).await.expect("works");
        held.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (answer, closed) = say(running.address, head, PATIENCE).await;
    assert!(
        closed && answer.starts_with("HTTP/1.1 429 ") && answer.contains("request.too_many_slow_bodies"),
        "{answer}"
    );
    drop(held);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let text = b"POST /v1/things HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{";
    let mut stream = TcpStream::connect(running.address).await.expect("works");
    stream.write_all(text).await.expect("works");
    tokio::time::sleep(Duration::from_millis(60)).await;
    stream.write_all(b"}").await.expect("works");
    assert!(one_answer(&mut stream).await.starts_with("HTTP/1.1 401 "), "they have left");
}

#[tokio::test]
async fn heads_out_of_bounds_are_problems() {
    let running = serve(Kit::new().router, HttpConfig::default()).await;
    let fields: String = (0..101).map(|number| format!("x-{number}: a\r\n")).collect();
    let cases = [
        (
            format!("GET /v1/public?{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(60_000)),
            414,
            "request.uri_too_long",
        ),
        (
            format!("GET /v1/public HTTP/1.1\r\nhost: x\r\nx-large: {}\r\n\r\n", "a".repeat(60_000)),
            431,
            "request.headers_too_large",
        ),
        (
            format!("GET /v1/public HTTP/1.1\r\nhost: x\r\n{fields}\r\n"),
            431,
            "request.headers_too_large",
        ),
        (
            "GET /v1/public HTTP/1.1\r\naccept: */*\r\n\r\n".to_owned(),
            400,
            "request.host_invalid",
        ),
        (
            "GET /v1/public HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n".to_owned(),
            400,
            "request.host_invalid",
        ),
    ];
    for (text, status, code) in cases {
        let (answer, closed) = say(running.address, text.as_bytes(), PATIENCE).await;
        assert!(closed && answer.starts_with(&format!("HTTP/1.1 {status} ")), "{code}: {answer}");
        assert!(answer.contains(code) && answer.contains("application/problem+json"), "{answer}");
    }
    let (answer, _) = say(running.address, b"GET /v1/public HTTP/1.0\r\n\r\n", PATIENCE).await;
    assert!(answer.starts_with("HTTP/1.0 200 "), "HTTP/1.0 has no Host: {answer}");
}

/// Who keeps asking on one connection sees every request answered: the last answer says that the connection closes.
#[tokio::test]
async fn a_stop_loses_no_request_of_a_connection_in_use() {
    let mut running = start(|config| config.shutdown_delay_ms = 600).await;
    let mut stream = TcpStream::connect(running.address).await.expect("works");
    let ask = b"GET /quick HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(ask).await.expect("works");
    assert!(!one_answer(&mut stream).await.contains("connection: close"));
    running.stopping.cancel();
    stream.write_all(ask).await.expect("works");
    assert!(one_answer(&mut stream).await.contains("connection: close"));
    let (answer, _) = say(running.address, ask, PATIENCE).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close"),
        "still taken: {answer}"
    );
    let ended = tokio::time::timeout(PATIENCE, running.tasks.join_next()).await;
    assert!(ended.is_ok(), "the server ends");
    assert!(TcpStream::connect(running.address).await.is_err(), "nobody listens");
}
