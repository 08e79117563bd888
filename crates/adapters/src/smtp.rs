//! Mail through an SMTP server (RFC 5321), by lettre.

mod line;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kernel::{Error, Result};
use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use platform::config::Secret;
use platform::mail::{Mail, Mailer};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsConnector;

use self::line::Line;

/// For the end of a conversation that has succeeded.
const FAREWELL: Duration = Duration::from_secs(1);

/// How the connection to the server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SmtpTls {
    /// Plain first, then STARTTLS; no mail without it (usually port 587).
    #[default]
    Starttls,
    /// TLS from the first byte (usually port 465).
    Tls,
    /// No protection: only for a server on the same machine.
    None,
}

/// The server that takes our mails.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SmtpConfig {
    /// Name of the server; absent: no mail leaves.
    pub host: Option<String>,
    pub port: u16,
    pub tls: SmtpTls,
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// Sender, such as `Guildhall <guildhall@example.com>`.
    pub from: String,
    /// Longest time for one mail, seconds.
    pub timeout_seconds: u64,
}

impl Default for SmtpConfig {
    fn default() -> Self {
        Self {
            host: None,
            port: 587,
            tls: SmtpTls::default(),
            username: None,
            password: None,
            from: "Guildhall <guildhall@localhost>".into(),
            timeout_seconds: 30,
        }
    }
}

impl SmtpConfig {
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.from.parse::<Mailbox>().is_err() {
            problems.push(format!(
                "mail.smtp.from: {:?} is no address such as `Guildhall <guildhall@example.com>`",
                self.from
            ));
        }
        if self.username.is_some() != self.password.is_some() {
            problems.push("mail.smtp: username and password go together".into());
        }
        if self.timeout_seconds == 0 {
            problems.push("mail.smtp.timeout_seconds: must be positive".into());
        }
        problems
    }
}

/// One connection for each mail, as with webhooks: nothing is left of a server in a bad mood.
pub struct SmtpMailer {
    host: String,
    port: u16,
    tls: SmtpTls,
    credentials: Option<Credentials>,
    from: Mailbox,
    timeout: Duration,
}

/// Why a mail did not leave.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Smtp(#[from] smtp::Error),
    #[error(transparent)]
    Line(#[from] std::io::Error),
}

impl SmtpMailer {
    /// Opens no connection yet.
    pub fn new(config: &SmtpConfig) -> Result<Self> {
        let host = config.host.clone().ok_or_else(|| Error::internal("mail.smtp.host is not set"))?;
        if config.tls != SmtpTls::None {
            TlsParameters::new(host.clone()).map_err(Error::internal)?;
        }
        let credentials = match (&config.username, &config.password) {
            (Some(username), Some(password)) => Some(Credentials::new(username.clone(), password.expose().to_owned())),
            _ => None,
        };
        Ok(Self {
            host,
            port: config.port,
            tls: config.tls,
            credentials,
            from: config.from.parse().map_err(Error::internal)?,
            timeout: Duration::from_secs(config.timeout_seconds),
        })
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let (stream, peer) = line::connect(&self.host, self.port, self.timeout).await?;
        let hello = ClientId::default();
        let stream: Box<dyn AsyncTokioStream> = if self.tls == SmtpTls::Tls {
            let name = ServerName::try_from(self.host.clone()).map_err(std::io::Error::other)?;
            Box::new(Line::new(TlsConnector::from(tls_config()?).connect(name, stream).await?, peer))
        } else {
            Box::new(Line::new(stream, peer))
        };
        let mut connection = AsyncSmtpConnection::connect_with_transport(stream, &hello).await?;
        if self.tls == SmtpTls::Starttls {
            connection.starttls(TlsParameters::new(self.host.clone())?, &hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    /// Until the server has taken the mail.
    async fn deliver(&self, message: &Message) -> Result<AsyncSmtpConnection, Failure> {
        let mut connection = self.connect().await?;
        connection.send(message.envelope(), &message.formatted()).await?;
        Ok(connection)
    }

    fn message(&self, mail: &Mail) -> Result<Message> {
        let invalid = |error: &dyn std::fmt::Display| Error::invalid_field("/to", "invalid", error.to_string());
        let to: Mailbox = mail.to.parse().map_err(|error| invalid(&error))?;
        let builder = Message::builder()
            .from(self.from.clone())
            .to(to)
            .raw_header(subject(&mail.subject))
            .message_id(Some(format!("<{}@{}>", mail.message_id, self.from.email.domain())));
        let plain = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(mail.text.clone());
        let message = match &mail.html {
            Some(html) => {
                let html = SinglePart::builder().header(ContentType::TEXT_HTML).body(html.clone());
                builder.multipart(MultiPart::alternative().singlepart(plain).singlepart(html))
            }
            None => builder.singlepart(plain),
        };
        message.map_err(|error| invalid(&error))
    }
}

/// The longest that a word of [`encoded_words`] may be, so that also the first line, behind `Subject: `, ends within the 76
/// characters of RFC 2047, section 2.
const MAX_ENCODED: usize = 67;

/// The whole is encoded when a part of it looks like an encoded-word (RFC 2047): lettre leaves ASCII as it is, and a mail client
/// would show something else than what was written.
fn subject(text: &str) -> HeaderValue {
    let name = HeaderName::new_from_ascii_str("Subject");
    if text.contains("=?") {
        HeaderValue::dangerous_new_pre_encoded(name, text.to_owned(), encoded_words(text))
    } else {
        HeaderValue::new(name, text.to_owned())
    }
}

/// Encoded-words in "Q" (RFC 2047, section 4.2), each a line: letters and digits as they are, all else as `=XX`. No character is
/// split over two words.
fn encoded_words(text: &str) -> String {
    const START: &str = "=?utf-8?q?";
    const END: &str = "?=";
    let (mut words, mut word) = (Vec::new(), START.to_owned());
    for character in text.chars() {
        let mut bytes = [0; 4];
        let encoded: String = character
            .encode_utf8(&mut bytes)
            .bytes()
            .map(|byte| match byte {
                b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(byte).to_string(),
                _ => format!("={byte:02X}"),
            })
            .collect();
        if word.len() + encoded.len() + END.len() > MAX_ENCODED {
            words.push(std::mem::replace(&mut word, START.to_owned()) + END);
        }
        word.push_str(&encoded);
    }
    words.push(word + END);
    words.join("\r\n ")
}

/// RFC 4954: the server wants other credentials or TLS. That is the operator's to mend, and no mail should be lost over it.
fn is_about_us(error: &smtp::Error) -> bool {
    let code = error.status().map_or(0, u16::from);
    matches!(code, 500 | 502 | 503 | 504 | 521 | 530 | 534 | 535 | 538)
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<()> {
        let message = self.message(mail)?;
        // Nothing in there has a time limit of its own, and a server that drips answers could go on for ever.
        match tokio::time::timeout(self.timeout, self.deliver(&message)).await {
            Ok(Ok(mut connection)) => {
                // The mail is taken, whatever becomes of the farewell.
                let _ = tokio::time::timeout(FAREWELL, connection.quit()).await;
                Ok(())
            }
            // A 5xx answer about this mail will not become better by repetition.
            Ok(Err(Failure::Smtp(error))) if error.is_permanent() && !is_about_us(&error) => {
                Err(Error::invalid_field("/to", "refused", "the mail server refused the mail").with_cause(error))
            }
            Ok(Err(error)) => Err(Error::unavailable(Duration::from_secs(30)).with_cause(error)),
            Err(elapsed) => Err(Error::unavailable(Duration::from_secs(30)).with_cause(elapsed)),
        }
    }
}

/// For TLS from the first byte; with STARTTLS lettre makes the same one.
fn tls_config() -> std::io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(std::io::Error::other)?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
