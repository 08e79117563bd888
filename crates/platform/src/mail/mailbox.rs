//! The mailbox of an installation without SMTP: mails are kept on disk and shown on a page, so that a newcomer can
//! finish every flow. It holds sign-in links; the page answers only this machine unless the operator opens it.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use axum::{Json, Router, routing};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use kernel::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{Mail, Mailer};
use crate::http::{Problem, Query, Visitor};

/// Older mails give way.
const KEPT: usize = 200;
const FILE: &str = "mailbox.json";

/// A mail with the time it came.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Received {
    #[serde(flatten)]
    pub mail: Mail,
    pub received_at: kernel::Timestamp,
}

/// Keeps the last mails in memory and in one file of the data folder.
pub struct DevMailbox {
    file: PathBuf,
    clock: kernel::time::SharedClock,
    public: bool,
    mails: Mutex<VecDeque<Received>>,
}

impl DevMailbox {
    /// `public`: the page also answers other machines.
    pub fn open(data_dir: &Path, public: bool, clock: kernel::time::SharedClock) -> Result<Arc<Self>> {
        std::fs::create_dir_all(data_dir).map_err(Error::internal)?;
        let file = data_dir.join(FILE);
        let mails = match std::fs::read(&file) {
            // A file cut off by a crash holds nothing that could not be sent again.
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => VecDeque::new(),
            Err(error) => return Err(Error::internal(error)),
        };
        Ok(Arc::new(Self {
            file,
            clock,
            public,
            mails: Mutex::new(mails),
        }))
    }

    /// Oldest first.
    pub fn mails(&self) -> Vec<Received> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn keep(&self, mail: &Mail) -> std::io::Result<()> {
        let mut mails = self.mails.lock().unwrap_or_else(PoisonError::into_inner);
        // A repeated send of the same mail is the same mail.
        if mails.iter().any(|kept| kept.mail.message_id == mail.message_id) {
            return Ok(());
        }
        mails.push_back(Received {
            mail: mail.clone(),
            received_at: self.clock.now(),
        });
        while mails.len() > KEPT {
            mails.pop_front();
        }
        // Written beside and renamed, so that a crash leaves the old file or the new one.
        let beside = self.file.with_extension("tmp");
        std::fs::write(&beside, serde_json::to_vec(&*mails)?)?;
        std::fs::rename(beside, &self.file)
    }

    /// `/dev/mailbox` and `/dev/mailbox.json`.
    pub fn routes(self: Arc<Self>) -> Router {
        Router::new()
            .route("/dev/mailbox", routing::get(page))
            .route("/dev/mailbox.css", routing::get(style))
            .route("/dev/mailbox.json", routing::get(json))
            .with_state(self)
    }

    fn allow(&self, visitor: &Visitor, uri: &Uri, headers: &HeaderMap) -> Result<()> {
        if self.public || (visitor.0.client_ip.is_loopback() && !was_forwarded(headers) && names_this_machine(uri, headers)) {
            return Ok(());
        }
        Err(Error::forbidden(
            "mailbox.local_only",
            "The mailbox answers only the machine it runs on; see mail.mailbox_public.",
        ))
    }
}

/// A proxy on this machine that is not in the list of trusted ones makes every client look local.
fn was_forwarded(headers: &HeaderMap) -> bool {
    ["forwarded", "x-forwarded-for", "x-real-ip"]
        .iter()
        .any(|name| headers.contains_key(*name))
}

/// A foreign page whose name was made to lead here (DNS rebinding) must not read the mails through the developer's browser.
fn names_this_machine(uri: &Uri, headers: &HeaderMap) -> bool {
    let named = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let Some(authority) = named.as_ref().or_else(|| uri.authority()) else {
        return !headers.contains_key(header::HOST);
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[async_trait]
impl Mailer for DevMailbox {
    async fn send(&self, mail: &Mail) -> Result<()> {
        self.keep(mail).map_err(Error::internal)
    }
}

/// Filter of the mailbox.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    /// Only mails to this address.
    to: Option<String>,
}

fn wanted(mailbox: &DevMailbox, filter: &Filter) -> Vec<Received> {
    let mut mails = mailbox.mails();
    mails.reverse();
    mails.retain(|kept| filter.to.as_ref().is_none_or(|to| kept.mail.to.eq_ignore_ascii_case(to)));
    mails
}

async fn json(
    State(mailbox): State<Arc<DevMailbox>>,
    visitor: Visitor,
    uri: Uri,
    headers: HeaderMap,
    Query(filter): Query<Filter>,
) -> Result<Response, Problem> {
    mailbox.allow(&visitor, &uri, &headers)?;
    Ok(Json(serde_json::json!({ "items": wanted(&mailbox, &filter) })).into_response())
}

async fn page(
    State(mailbox): State<Arc<DevMailbox>>,
    visitor: Visitor,
    uri: Uri,
    headers: HeaderMap,
    Query(filter): Query<Filter>,
) -> Result<Response, Problem> {
    mailbox.allow(&visitor, &uri, &headers)?;
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Mailbox</title><link rel=\"stylesheet\" href=\"/dev/mailbox.css\"></head><body><h1>Mailbox</h1>\
         <p>Mails of this installation, newest first. Set <code>mail.smtp.host</code> to send them for real.</p>",
    );
    let mails = wanted(&mailbox, &filter);
    if mails.is_empty() {
        html.push_str("<p class=\"empty\">No mails yet.</p>");
    }
    for kept in mails {
        // Writing to a String cannot fail.
        let _ = write!(
            html,
            "<article><h2>{}</h2><p class=\"meta\">to {} · {}</p><pre>{}</pre></article>",
            escape(&kept.mail.subject),
            escape(&kept.mail.to),
            kept.received_at,
            with_links(&kept.mail.text)
        );
    }
    html.push_str("</body></html>");
    let policy = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    Ok((
        [(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)), no_store()],
        Html(html),
    )
        .into_response())
}

fn no_store() -> (HeaderName, HeaderValue) {
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
}

async fn style() -> Response {
    let css = "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1c1c28;background:#fafafc}\
               article{background:#fff;border:1px solid #ddd;border-radius:8px;padding:0 1rem;margin:1rem 0}\
               h2{font-size:1.1rem;margin-bottom:0}.meta{color:#667;margin-top:0}pre{white-space:pre-wrap;font:inherit}";
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"))], css).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Escaped text in which http(s) addresses can be clicked.
fn with_links(text: &str) -> String {
    text.split_inclusive(char::is_whitespace)
        .map(|word| {
            let trimmed = word.trim_end();
            let (escaped, rest) = (escape(trimmed), &word[trimmed.len()..]);
            if trimmed.starts_with("http://") || trimmed.starts_with("https://") {
                format!("<a href=\"{escaped}\">{escaped}</a>{rest}")
            } else {
                format!("{escaped}{rest}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(id: &str, text: &str) -> Mail {
        Mail {
            to: "ada@example.com".into(),
            subject: "s".into(),
            text: text.into(),
            html: None,
            message_id: id.into(),
        }
    }

    #[tokio::test]
    async fn keeps_the_last_mails_over_a_restart_and_each_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock: kernel::time::SharedClock = Arc::new(kernel::SystemClock);
        let mailbox = DevMailbox::open(folder.path(), false, clock.clone()).expect("opens");
        for index in 0..KEPT + 5 {
            mailbox.send(&mail(&index.to_string(), "hello")).await.expect("kept");
        }
        mailbox.send(&mail("204", "hello")).await.expect("kept once");
        let again = DevMailbox::open(folder.path(), false, clock).expect("opens");
        let ids: Vec<String> = again.mails().into_iter().map(|kept| kept.mail.message_id).collect();
        assert_eq!(ids.len(), KEPT);
        assert_eq!((ids[0].as_str(), ids[KEPT - 1].as_str()), ("5", "204"));
    }

    #[test]
    fn only_this_machine_under_its_own_name_reads_mails() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock: kernel::time::SharedClock = Arc::new(kernel::SystemClock);
        let visitor = |ip: &str| {
            let mut caller = crate::Caller::system(&kernel::SystemClock, "test");
            caller.client_ip = ip.parse().expect("an address");
            Visitor(caller)
        };
        let allowed = |public: bool, ip: &str, headers: &[(&'static str, &'static str)]| {
            let mailbox = DevMailbox::open(folder.path(), public, clock.clone()).expect("opens");
            let headers = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            mailbox.allow(&visitor(ip), &Uri::from_static("/dev/mailbox"), &headers).is_ok()
        };
        for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST"] {
            assert!(allowed(false, "127.0.0.1", &[("host", host)]), "{host}");
        }
        assert!(allowed(false, "::1", &[]));
        assert!(!allowed(false, "192.0.2.7", &[("host", "localhost")]), "another machine");
        assert!(!allowed(false, "127.0.0.1", &[("host", "evil.example.com:8080")]), "a rebound name");
        assert!(!allowed(false, "127.0.0.1", &[("host", "not a host")]));
        assert!(
            !allowed(false, "127.0.0.1", &[("host", "localhost"), ("x-forwarded-for", "192.0.2.7")]),
            "an unknown proxy"
        );
        assert!(
            allowed(true, "192.0.2.7", &[("host", "mail.example.com")]),
            "opened by the operator"
        );
    }

    #[test]
    fn text_of_a_mail_cannot_become_markup() {
        let html = with_links("see https://x.test/?a=\"><script> now\n<b>");
        assert_eq!(
            html,
            "see <a href=\"https://x.test/?a=&quot;&gt;&lt;script&gt;\">https://x.test/?a=&quot;&gt;&lt;script&gt;</a> now\n&lt;b&gt;"
        );
    }
}
