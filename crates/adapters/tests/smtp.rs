//! The SMTP mailer against a small server that answers what the test wants.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use adapters::smtp::{SmtpConfig, SmtpMailer, SmtpTls};
use kernel::ErrorKind;
use platform::config::Secret;
use platform::mail::{Mail, Mailer};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the server says to a command, by its first word, where that is not the usual. `""`: it says nothing at all.
type Answers = HashMap<&'static str, &'static str>;

struct FakeServer {
    port: u16,
    /// Everything that clients said, line by line.
    heard: Arc<Mutex<Vec<String>>>,
}

impl FakeServer {
    #[expect(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
    async fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (answers, log) = (Arc::new(answers), Arc::clone(&heard));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&answers), Arc::clone(&log)));
            }
        });
        Self { port, heard }
    }
    fn heard(&self) -> String {
        self.heard.lock().expect("lock").join("\n")
    }
    fn config(&self) -> SmtpConfig {
        SmtpConfig {
            host: Some("127.0.0.1".into()),
            port: self.port,
            tls: SmtpTls::None,
            from: "Guildhall <guildhall@example.test>".into(),
            timeout_seconds: 1,
            ..SmtpConfig::default()
        }
    }
    /// With credentials.
    fn login(&self) -> SmtpConfig {
        SmtpConfig {
            username: Some("guildhall".into()),
            password: Some(Secret::new("hunter2")),
            ..self.config()
        }
    }
}

fn mailer(config: &SmtpConfig) -> SmtpMailer {
    SmtpMailer::new(config).expect("a mailer")
}

async fn converse(mut stream: TcpStream, answers: Arc<Answers>, heard: Arc<Mutex<Vec<String>>>) {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).lines();
    let mut next = answers.get("CONNECT").copied().unwrap_or("220 fake ESMTP");
    let mut content = false;
    loop {
        if !next.is_empty() && write.write_all(format!("{next}\r\n").as_bytes()).await.is_err() {
            return;
        }
        content |= next.starts_with("354");
        let command = loop {
            let Ok(Some(line)) = lines.next_line().await else { return };
            heard.lock().expect("lock").push(line.clone());
            if !content {
                break line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            }
            if line == "." {
                content = false;
                break "CONTENT".to_owned();
            }
        };
        let usual = match command.as_str() {
            "EHLO" => "250-fake\r\n250-AUTH PLAIN\r\n250 8BITMIME",
            "DATA" => "354 go on",
            "AUTH" => "235 welcome",
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        next = answers.get(command.as_str()).copied().unwrap_or(usual);
    }
}

fn mail() -> Mail {
    Mail {
        to: "Ada <ada@example.test>".into(),
        subject: "Wëlcome".into(),
        text: "Hello Ada, https://example.test/verify?token=secret-token".into(),
        html: Some("<p>Hello Ada</p>".into()),
        message_id: "0193-abc".into(),
    }
}

#[tokio::test]
async fn a_mail_arrives_with_sender_recipient_both_bodies_and_its_id() {
    let server = FakeServer::start(Answers::new()).await;
    mailer(&server.config()).send(&mail()).await.expect("sent");
    let heard = server.heard();
    for part in [
        "MAIL FROM:<guildhall@example.test>",
        "RCPT TO:<ada@example.test>",
        "Message-ID: <0193-abc@example.test>",
        "text/plain",
        "text/html",
        "Hello Ada",
    ] {
        assert!(heard.contains(part), "{part}\nnot in\n{heard}");
    }
}

/// What a mail client makes of the folded header `Subject`.
fn subject_shown(heard: &str) -> String {
    let mut lines = heard.lines().skip_while(|line| !line.starts_with("Subject: "));
    let mut header = lines.next().expect("a subject").trim_start_matches("Subject: ").to_owned();
    for line in lines.take_while(|line| line.starts_with(' ')) {
        assert!(line.len() <= 76, "{line}");
        header.push_str(line);
    }
    let mut bytes = Vec::new();
    for word in header.split(' ') {
        assert!(word.len() + "Subject: ".len() <= 76, "{word}");
        let text = word
            .strip_prefix("=?utf-8?q?")
            .and_then(|rest| rest.strip_suffix("?="))
            .expect("an encoded-word");
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            if byte == b'=' {
                let digits = [rest.next().expect("a digit"), rest.next().expect("a digit")];
                let digits = std::str::from_utf8(&digits).expect("ASCII");
                bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
            } else {
                assert!(byte.is_ascii_alphanumeric(), "{text}");
                bytes.push(byte);
            }
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

/// A title that looks like an encoded-word (RFC 2047) must not be decoded into something else by who reads the mail.
#[tokio::test]
async fn a_subject_is_shown_as_it_was_written() {
    for subject in [
        "=?utf-8?q?=0d=0aBcc:_evil?=",
        "Ada assigned ABC-1 =?utf-8?b?QmNjOiBldmls?= to you, and a long rest that has to be folded over some lines, wëll",
    ] {
        let server = FakeServer::start(Answers::new()).await;
        let mail = Mail {
            subject: subject.into(),
            ..mail()
        };
        mailer(&server.config()).send(&mail).await.expect("sent");
        let heard = server.heard();
        assert_eq!(subject_shown(&heard), subject, "{heard}");
    }
}

#[tokio::test]
async fn credentials_are_used_and_never_shown() {
    let server = FakeServer::start(Answers::new()).await;
    assert!(!format!("{:?}", server.login()).contains("hunter2"));
    mailer(&server.login()).send(&mail()).await.expect("sent");
    assert!(server.heard().contains("AUTH PLAIN"));
}

#[tokio::test]
async fn what_may_pass_is_worth_a_retry_and_what_will_not_is_refused() {
    for (command, answer, expected) in [
        ("RCPT", "450 mailbox busy", ErrorKind::Unavailable),
        ("CONTENT", "451 try later", ErrorKind::Unavailable),
        ("CONNECT", "421 closing", ErrorKind::Unavailable),
        ("RCPT", "550 no such user", ErrorKind::Invalid),
        ("CONTENT", "554 looks like spam", ErrorKind::Invalid),
        ("AUTH", "535 wrong password", ErrorKind::Unavailable),
        ("MAIL", "530 authenticate first", ErrorKind::Unavailable),
    ] {
        let server = FakeServer::start(Answers::from([(command, answer)])).await;
        let error = mailer(&server.login()).send(&mail()).await.expect_err(answer);
        assert_eq!(error.kind, expected, "{command} {answer}: {error:?}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("secret-token") && !shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_or_is_not_there_is_given_up_in_time() {
    for command in ["CONNECT", "CONTENT"] {
        let server = FakeServer::start(Answers::from([(command, "")])).await;
        let started = Instant::now();
        let error = mailer(&server.config()).send(&mail()).await.expect_err("hangs");
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
    let mut gone = FakeServer::start(Answers::new()).await.config();
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    gone.port = closed.local_addr().expect("an address").port();
    drop(closed);
    let error = mailer(&gone).send(&mail()).await.expect_err("refused");
    assert_eq!(error.kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn no_mail_goes_out_in_the_clear_when_tls_is_wanted() {
    // The server offers no STARTTLS.
    let server = FakeServer::start(Answers::new()).await;
    let config = SmtpConfig {
        tls: SmtpTls::Starttls,
        ..server.login()
    };
    mailer(&config).send(&mail()).await.expect_err("no TLS, no mail");
    let heard = server.heard();
    assert!(!heard.contains("MAIL FROM") && !heard.contains("AUTH"), "{heard}");
}

#[tokio::test]
async fn an_impossible_address_is_refused_without_asking_the_server() {
    let server = FakeServer::start(Answers::new()).await;
    let mail = Mail {
        to: "not an address".into(),
        ..mail()
    };
    let error = mailer(&server.config()).send(&mail).await.expect_err("refused");
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(server.heard().is_empty());
}

#[test]
fn the_config_is_checked() {
    assert!(SmtpConfig::default().validate().is_empty());
    let bad = SmtpConfig {
        from: "nobody".into(),
        username: Some("u".into()),
        timeout_seconds: 0,
        ..SmtpConfig::default()
    };
    assert_eq!(bad.validate().len(), 3);
}

/// The line has no end, so whatever waits for one must stop by itself, long before the time limit.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
async fn a_server_that_does_not_stop_talking_is_hung_up_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let said = Arc::new(Mutex::new(0));
    let count = Arc::clone(&said);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        while stream.write_all(&[b'2'; 16_384]).await.is_ok() {
            *count.lock().expect("lock") += 65_536;
        }
    });
    let config = SmtpConfig {
        host: Some("127.0.0.1".into()),
        port,
        tls: SmtpTls::None,
        timeout_seconds: 20,
        ..SmtpConfig::default()
    };
    let begun = Instant::now();
    let error = mailer(&config).send(&mail()).await.expect_err("nonsense");
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // What was heard, and what lay in buffers on the way.
    assert!(*said.lock().expect("lock") < 32 << 20, "{said:?}");
}
