//! The client for addresses that users name, against servers that behave and servers that do not.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use adapters::egress::{EgressClient, EgressConfig, Resolver};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use platform::egress::{Egress, EgressError, EgressRequest, EgressResponse};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What the server does once it has read the request.
#[derive(Clone, Copy)]
enum Answer {
    Bytes(&'static [u8]),
    /// Nothing, for ever.
    Silence,
    /// A head, then a byte every 20 ms.
    Drip,
    /// A head, then a body without end.
    Flood,
    /// Headers without end.
    HeaderFlood,
    /// Closes without a word.
    Close,
}

struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answer: Answer) -> Self {
        Self::serve(answer, None).await
    }

    #[expect(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
    async fn serve(answer: Answer, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (connections, heard) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (count, log) = (Arc::clone(&connections), Arc::clone(&heard));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (log, tls) = (Arc::clone(&log), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                converse(stream, answer, log).await;
                            }
                        }
                        None => converse(stream, answer, log).await,
                    }
                });
            }
        });
        Self { port, connections, heard }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Plain http to this server's port on loopback.
    fn config(&self) -> EgressConfig {
        EgressConfig {
            allow: vec!["127.0.0.0/8".parse().expect("a network")],
            allow_http: true,
            ports: vec![self.port],
            ..EgressConfig::default()
        }
    }

    async fn send(&self) -> Result<EgressResponse, EgressError> {
        let client = EgressClient::new(&self.config()).expect("a client");
        client.send(request(&format!("http://127.0.0.1:{}/hook?x=1", self.port))).await
    }
}

async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: Answer, log: Arc<Mutex<Vec<String>>>) {
    let mut heard = Vec::new();
    let mut buffer = [0; 4_096];
    // Enough of a parser for requests of this test: they end in `}`.
    while !heard.ends_with(b"}") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => heard.extend_from_slice(&buffer[..read]),
        }
    }
    log.lock().expect("lock").push(String::from_utf8_lossy(&heard).into_owned());
    match answer {
        Answer::Bytes(bytes) => {
            let _ = stream.write_all(bytes).await;
        }
        Answer::Silence => std::future::pending().await,
        Answer::Drip => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await;
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Answer::Flood => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n").await;
            let flood = vec![b'x'; 65_536];
            while stream.write_all(&flood).await.is_ok() {}
        }
        Answer::HeaderFlood => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
            while stream
                .write_all(b"x-more: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")
                .await
                .is_ok()
            {}
        }
        Answer::Close => {}
    }
}

fn request(url: &str) -> EgressRequest {
    EgressRequest {
        method: Method::POST,
        url: url.to_owned(),
        headers: HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]),
        body: Bytes::from_static(b"{\"a\":1}"),
        timeout: Duration::from_millis(800),
        max_response_bytes: 4_096,
    }
}

/// Answers each look-up with the next list, the last one for ever.
struct Scripted(Mutex<VecDeque<Vec<IpAddr>>>);

impl Scripted {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |list: &&[&str]| list.iter().map(|text| text.parse().expect("an address")).collect();
        Arc::new(Self(Mutex::new(answers.iter().map(parse).collect())))
    }
}

#[async_trait]
impl Resolver for Scripted {
    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<IpAddr>> {
        let mut answers = self.0.lock().expect("lock");
        match answers.len() {
            0 => Err(io::Error::other("no such host")),
            1 => Ok(answers[0].clone()),
            _ => Ok(answers.pop_front().expect("an answer")),
        }
    }
}

#[tokio::test]
async fn a_request_arrives_as_it_was_made_and_the_answer_comes_back() {
    let server = Server::start(Answer::Bytes(
        b"HTTP/1.1 202 Accepted\r\nretry-after: 7\r\ncontent-length: 5\r\n\r\nhello",
    ))
    .await;
    let answer = server.send().await.expect("an answer");
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.headers["retry-after"], "7");
    assert_eq!((&answer.body[..], answer.truncated), (&b"hello"[..], false));
    let heard = server.heard.lock().expect("lock").join("");
    assert!(heard.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{heard}");
    for line in [
        format!("host: 127.0.0.1:{}\r\n", server.port),
        "content-type: application/json\r\n".into(),
        "content-length: 7\r\n".into(),
        "connection: close\r\n".into(),
        "user-agent: Guildhall/".into(),
    ] {
        assert!(heard.contains(&line), "{line} is missing in {heard}");
    }
    assert!(heard.ends_with("\r\n\r\n{\"a\":1}"), "{heard}");
}

#[tokio::test]
async fn sec_28_a_redirect_is_an_answer_and_is_not_followed() {
    let server = Server::start(Answer::Bytes(
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/inner\r\ncontent-length: 0\r\n\r\n",
    ))
    .await;
    assert_eq!(server.send().await.expect("an answer").status, StatusCode::FOUND);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_server_that_misbehaves_costs_bounded_time_and_memory() {
    for (answer, wanted) in [
        (Answer::Silence, EgressError::Timeout),
        (Answer::Drip, EgressError::Timeout),
        (Answer::HeaderFlood, EgressError::Protocol),
        (Answer::Close, EgressError::Protocol),
        (
            Answer::Bytes(b"\x16\x03\x01 this is no HTTP at all \xff\xfe\r\n\r\n"),
            EgressError::Protocol,
        ),
        (Answer::Bytes(b"HTTP/1.1 20"), EgressError::Protocol),
    ] {
        let server = Server::start(answer).await;
        let started = Instant::now();
        assert_eq!(server.send().await.expect_err("no answer"), wanted);
        assert!(started.elapsed() < Duration::from_secs(3));
    }
    let server = Server::start(Answer::Flood).await;
    let answer = server.send().await.expect("an answer");
    assert_eq!((answer.body.len(), answer.truncated), (4_096, true));
    // A body that breaks off: the status stands.
    let server = Server::start(Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nonly")).await;
    let answer = server.send().await.expect("an answer");
    assert_eq!(
        (answer.status, &answer.body[..], answer.truncated),
        (StatusCode::OK, &b"only"[..], true)
    );
}

#[tokio::test]
async fn nobody_there_and_no_such_host_are_told_apart() {
    let server = Server::start(Answer::Silence).await;
    let config = EgressConfig {
        ports: vec![1, server.port],
        ..server.config()
    };
    let client = EgressClient::new(&config).expect("a client");
    assert_eq!(
        client.send(request("http://127.0.0.1:1/")).await.expect_err("nobody"),
        EgressError::Connect
    );
    let client = EgressClient::with_resolver(&config, Scripted::new(&[])).expect("a client");
    let url = format!("http://no-such.example:{}/", server.port);
    assert_eq!(client.send(request(&url)).await.expect_err("no host"), EgressError::Dns);
}

/// DNS rebinding: public when it was checked, loopback when it is called.
#[tokio::test]
async fn sec_28_a_name_that_leads_inside_later_is_refused_then() {
    let server = Server::start(Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let config = EgressConfig {
        allow: Vec::new(),
        ..server.config()
    };
    let url = format!("http://rebind.example:{}/", server.port);
    let resolver = Scripted::new(&[&["93.184.215.14"], &["127.0.0.1"]]);
    let client = EgressClient::with_resolver(&config, resolver).expect("a client");
    assert_eq!(client.check(&url).await, Ok(()));
    assert_eq!(client.send(request(&url)).await.expect_err("refused"), EgressError::Address);
    // One inner address among public ones spoils the name.
    for answers in [
        &["93.184.215.14", "10.0.0.1"][..],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["169.254.169.254"],
    ] {
        let client = EgressClient::with_resolver(&config, Scripted::new(&[answers])).expect("a client");
        assert_eq!(client.check(&url).await, Err(EgressError::Address), "{answers:?}");
        assert_eq!(
            client.send(request(&url)).await.expect_err("refused"),
            EgressError::Address,
            "{answers:?}"
        );
    }
    // Addresses in the URL itself, in all their spellings, and the names of the own machine.
    let client = EgressClient::new(&config).expect("a client");
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "0.0.0.0",
        "localhost",
    ] {
        let url = format!("http://{host}:{}/", server.port);
        assert_eq!(client.check(&url).await, Err(EgressError::Address), "{host}");
    }
    assert_eq!(server.connections(), 0, "nothing was sent");
}

#[tokio::test]
async fn sec_28_the_connection_goes_to_the_address_that_was_checked() {
    let server = Server::start(Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    // The name exists only for this resolver: nothing else can have looked it up.
    let resolver = Scripted::new(&[&["127.0.0.1"]]);
    let client = EgressClient::with_resolver(&server.config(), resolver).expect("a client");
    let url = format!("http://only-here.invalid:{}/", server.port);
    assert_eq!(client.send(request(&url)).await.expect("an answer").status, StatusCode::OK);
    assert!(server.heard.lock().expect("lock")[0].contains(&format!("host: only-here.invalid:{}\r\n", server.port)));
}

#[tokio::test]
async fn a_certificate_must_be_trusted_and_be_for_the_name() {
    let key = rcgen::generate_simple_self_signed(vec!["hooks.example".to_owned()]).expect("a certificate");
    let folder = std::env::temp_dir().join(format!("guildhall-egress-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let ca_file = folder.join("ca.pem");
    std::fs::write(&ca_file, key.cert.pem()).expect("a file");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).expect("a key");
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)
        .expect("a server's TLS");
    let answer = Answer::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n");
    let server = Server::serve(answer, Some(TlsAcceptor::from(Arc::new(tls)))).await;
    let ask = async |host: &str, ca_file: Option<std::path::PathBuf>| {
        let config = EgressConfig {
            allow_http: false,
            ca_file,
            ..server.config()
        };
        let client = EgressClient::with_resolver(&config, Scripted::new(&[&["127.0.0.1"]])).expect("a client");
        client.send(request(&format!("https://{host}:{}/", server.port))).await
    };
    assert_eq!(
        ask("hooks.example", Some(ca_file.clone())).await.expect("an answer").status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        ask("other.example", Some(ca_file)).await.expect_err("another name"),
        EgressError::Tls
    );
    assert_eq!(ask("hooks.example", None).await.expect_err("unknown authority"), EgressError::Tls);
    let _ = std::fs::remove_dir_all(folder);
}
