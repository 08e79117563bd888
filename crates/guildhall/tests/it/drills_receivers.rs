//! Receivers of mails and webhooks that hang, cut the line, babble, drip and flood: what they shall get waits for them, everybody
//! else gets theirs, memory stays bounded, and the process still stops at once.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::load::{probe, within};
use crate::process::{Server, free_port};
use crate::receiver::{Manner, Receiver};
use crate::support::{Client, SCHEMAS};

/// A mail server in a certain mood.
struct Post {
    port: u16,
    manner: Arc<Mutex<Manner>>,
    /// Connections since the mood changed.
    visits: Arc<Mutex<usize>>,
    /// Recipients of the mails that were taken.
    taken: Arc<Mutex<Vec<String>>>,
}

impl Post {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let post = Self {
            port,
            manner: Arc::new(Mutex::new(Manner::Hangs)),
            visits: Arc::default(),
            taken: Arc::default(),
        };
        let (manner, visits, taken) = (post.manner.clone(), post.visits.clone(), post.taken.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *visits.lock().expect("lock") += 1;
                let manner = *manner.lock().expect("lock");
                tokio::spawn(greet(stream, manner, taken.clone()));
            }
        });
        post
    }

    fn behave(&self, manner: Manner) {
        *self.manner.lock().expect("lock") = manner;
        *self.visits.lock().expect("lock") = 0;
    }
}

async fn greet(mut stream: TcpStream, manner: Manner, taken: Arc<Mutex<Vec<String>>>) {
    match manner {
        Manner::Hangs | Manner::Redirects => tokio::time::sleep(Duration::from_secs(600)).await,
        Manner::Resets => {
            let _ = stream.set_zero_linger();
        }
        Manner::Babbles => {
            let _ = stream.write_all(b"\x00\xff\xfeHTTP/1.1 200 OK\r\n\r\n").await;
        }
        Manner::Drips => {
            while stream.write_all(b"220-welcome\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        // One line without an end.
        Manner::Floods => while stream.write_all(&[b'2'; 16_384]).await.is_ok() {},
        Manner::Answers(_) => {
            let _ = serve(&mut stream, &taken).await;
        }
    }
}

async fn serve(stream: &mut TcpStream, taken: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 drill\r\n").await?;
    let (mut content, mut recipient) = (false, String::new());
    while let Some(line) = lines.next_line().await? {
        let answer = if content {
            if line != "." {
                continue;
            }
            content = false;
            taken.lock().expect("lock").push(std::mem::take(&mut recipient));
            "250 taken"
        } else if line.starts_with("RCPT") {
            recipient = line;
            "250 ok"
        } else if line.starts_with("DATA") {
            content = true;
            "354 go on"
        } else {
            "250 ok"
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

/// The most memory the process has had, in MiB.
fn peak(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib / 1_024
}

async fn hook(owner: &Client, workspace: &str, receiver: &Receiver) {
    let body = json!({ "url": receiver.url(), "event_types": ["task.created"] });
    let path = format!("/v1/workspaces/{workspace}/webhooks");
    owner.post(&path, body).await.expect(StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_in_every_mood_hold_up_nobody() {
    let moods = [Manner::Hangs, Manner::Resets, Manner::Babbles, Manner::Drips, Manner::Floods];
    let post = Post::start().await;
    let mut bad = Vec::new();
    for manner in moods {
        bad.push(Receiver::start(manner).await);
    }
    let good = Receiver::start(Manner::Answers(200)).await;
    let ports: Vec<String> = bad.iter().chain([&good]).map(|receiver| receiver.port.to_string()).collect();
    let database = testkit::TestServer::new(&SCHEMAS).await;
    let http = reqwest::Client::new();
    let mut server = Server::start_with(&database, free_port(), |command| {
        command
            .env("GUILDHALL_LOG__LEVEL", "error")
            .env("GUILDHALL_MAIL__SMTP__HOST", "127.0.0.1")
            .env("GUILDHALL_MAIL__SMTP__PORT", post.port.to_string())
            .env("GUILDHALL_MAIL__SMTP__TLS", "none")
            .env("GUILDHALL_MAIL__SMTP__TIMEOUT_SECONDS", "2")
            .env("GUILDHALL_DUE__BACKOFF", "200ms")
            .env("GUILDHALL_DUE__BACKOFF_MAX", "1s")
            .env("GUILDHALL_DUE__MAX_ATTEMPTS", "100")
            .env("GUILDHALL_EGRESS__ALLOW", "127.0.0.0/8")
            .env("GUILDHALL_EGRESS__ALLOW_HTTP", "true")
            .env("GUILDHALL_EGRESS__PORTS", ports.join(","));
    });
    server.ready(&http).await;
    let ada = server.anonymous(&http).register("ada").await;
    let workspace = ada.workspace("Drill").await;
    let project = ada.project(&workspace, "POST").await;
    for receiver in bad.iter().chain([&good]) {
        hook(&ada, &workspace, receiver).await;
    }
    let before = peak(&server);

    // Each mood of the mail server has mails to deal with, while the webhooks have theirs.
    for (number, manner) in moods.into_iter().enumerate() {
        post.behave(manner);
        server.anonymous(&http).register(&format!("guest-{number}")).await;
        ada.task(&project, &format!("Task {number}")).await;
        within(15, "a visit to the mail server", || async {
            (*post.visits.lock().expect("lock") >= 2).then_some(())
        })
        .await;
        let begun = Instant::now();
        assert_eq!(probe(&server, &http, "/livez").await, StatusCode::OK);
        ada.get("/v1/me").await.expect(StatusCode::OK);
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{manner:?} slows down answers: {:?}",
            begun.elapsed()
        );
        assert_eq!(post.taken.lock().expect("lock").len(), 0, "{manner:?}");
    }
    within(10, "the messages of the good receiver", || async {
        (good.heard().len() == moods.len()).then_some(())
    })
    .await;
    for (receiver, manner) in bad.iter().zip(moods) {
        assert!(!receiver.heard().is_empty(), "{manner:?} was not tried");
    }
    let after = peak(&server);
    println!("at most {after} MiB, {before} MiB before");
    assert!(after < before + 128, "{before} MiB have become {after} MiB");

    // A mail server that has come round gets what it missed, each mail once.
    post.behave(Manner::Answers(250));
    within(20, "all mails", || async {
        (post.taken.lock().expect("lock").len() > moods.len()).then_some(())
    })
    .await;
    let mut taken = post.taken.lock().expect("lock").clone();
    let all = taken.len();
    taken.sort();
    taken.dedup();
    assert_eq!((taken.len(), all), (moods.len() + 1, moods.len() + 1), "{taken:?}");

    // The process stops although somebody hangs on the line.
    post.behave(Manner::Hangs);
    server.anonymous(&http).register("late").await;
    ada.task(&project, "Late").await;
    within(10, "the late mail", || async {
        (*post.visits.lock().expect("lock") >= 1).then_some(())
    })
    .await;
    let begun = Instant::now();
    assert!(server.terminate().success());
    println!("stopped after {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
