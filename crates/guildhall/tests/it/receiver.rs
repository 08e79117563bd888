//! A local receiver of webhooks that behaves as the test wants.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_encoding::BASE64;
use guildhall::config::Config;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::StatusCode;
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What happens once the request has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Answers(u16),
    /// Says nothing and keeps the line open.
    Hangs,
    /// Cuts the line.
    Resets,
    /// Answers something that is no HTTP.
    Babbles,
    /// Begins an answer and never ends it.
    Drips,
    /// Answers as much and as fast as it can, without an end.
    Floods,
    /// Sends on to somewhere else.
    Redirects,
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Heard {
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub body: String,
}

impl Heard {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }

    /// By the specification, written down again here so that sender and test share no code.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key = BASE64
            .decode(secret.strip_prefix("whsec_").expect("the prefix").as_bytes())
            .expect("base64");
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key).expect("a key");
        mac.update(format!("{}.{}.{}", self.id, self.timestamp, self.body).as_bytes());
        let wanted = format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()));
        self.signature.split(' ').any(|signature| signature == wanted)
    }
}

pub struct Receiver {
    pub port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
    manner: Arc<Mutex<Manner>>,
}

impl Receiver {
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (heard, manner) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(manner)));
        let (log, way) = (Arc::clone(&heard), Arc::clone(&manner));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&log), Arc::clone(&way)));
            }
        });
        Self { port, heard, manner }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("lock").clone()
    }
    pub fn behave(&self, manner: Manner) {
        *self.manner.lock().expect("lock") = manner;
    }
    /// Those about one type of event.
    pub fn of_type(&self, event_type: &str) -> Vec<Heard> {
        self.heard()
            .into_iter()
            .filter(|heard| heard.json()["type"] == event_type)
            .collect()
    }
}

/// Lets the server call receivers on this machine.
pub fn allow(config: &mut Config, receivers: &[&Receiver]) {
    config.egress.allow = vec!["127.0.0.0/8".parse().expect("a network")];
    config.egress.allow_http = true;
    config.egress.ports = receivers.iter().map(|receiver| receiver.port).collect();
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Vec<Heard>>>, way: Arc<Mutex<Manner>>) {
    let Some(heard) = read(&mut stream).await else { return };
    log.lock().expect("lock").push(heard);
    let manner = *way.lock().expect("lock");
    match manner {
        Manner::Answers(status) => {
            let reason = StatusCode::from_u16(status)
                .ok()
                .and_then(|status| status.canonical_reason())
                .unwrap_or("-");
            let answer = format!("HTTP/1.1 {status} {reason}\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n\r\nheard\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        Manner::Hangs => tokio::time::sleep(Duration::from_secs(3_600)).await,
        Manner::Resets => {
            // Closing with unread data, or with zero linger, sends RST instead of FIN.
            let _ = stream.set_zero_linger();
        }
        Manner::Babbles => {
            let _ = stream.write_all(b"\x00\xff\xfeEHLO what is this\r\n\r\n").await;
        }
        Manner::Drips => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
            while stream.write_all(b".").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Manner::Floods => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx-flood: ").await;
            while stream.write_all(&[b'x'; 16_384]).await.is_ok() {}
        }
        Manner::Redirects => {
            let _ = stream
                .write_all(b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1/elsewhere\r\ncontent-length: 0\r\n\r\n")
                .await;
        }
    }
}

/// A request with a body of known length.
async fn read(stream: &mut TcpStream) -> Option<Heard> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 8_192];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = |name: &str| {
                head.lines().find_map(|line| {
                    let (found, value) = line.split_once(':')?;
                    found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
                })
            };
            let length: usize = header("content-length")?.parse().ok()?;
            if body.len() >= length {
                return Some(Heard {
                    id: header("webhook-id")?,
                    timestamp: header("webhook-timestamp")?,
                    signature: header("webhook-signature")?,
                    body: body.to_owned(),
                });
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}
