//! Outgoing mail. Services schedule mails as due work in their unit; the handler sends them.

mod mailbox;

pub use mailbox::{DevMailbox, Received};

use std::sync::Arc;

use async_trait::async_trait;
use kernel::{Error, ErrorKind, Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::due::{Due, DueHandler, DueItem};

/// [`Due::kind`] of a mail.
pub const MAIL_KIND: &str = "mail.send";

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
    /// Same content for readers that show HTML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// Becomes the Message-ID, so that a repeated send can be recognised.
    pub message_id: String,
}

/// Neither text nor address: mails carry reset links and belong to people.
impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("message_id", &self.message_id).finish_non_exhaustive()
    }
}

#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// `Unavailable` and `Timeout` are worth a retry; `Invalid` is not.
    async fn send(&self, mail: &Mail) -> Result<()>;
}

/// The mail as due work: `unit.schedule(mail::due(&mail, caller.now))` sends it when the unit has committed.
pub fn due(mail: &Mail, now: Timestamp) -> Due {
    Due {
        kind: MAIL_KIND,
        key: Some(mail.message_id.clone()),
        // A struct of strings always serialises.
        payload: serde_json::to_value(mail).unwrap_or_default(),
        run_at: now,
    }
}

/// Sends what [`due`] scheduled. Every service that schedules mails lists one among its due handlers, or the process
/// gives one to each runner.
pub struct MailHandler {
    mailer: Arc<dyn Mailer>,
}

impl MailHandler {
    pub fn new(mailer: Arc<dyn Mailer>) -> Self {
        Self { mailer }
    }
}

#[async_trait]
impl DueHandler for MailHandler {
    fn kind(&self) -> &'static str {
        MAIL_KIND
    }

    async fn run(&self, item: &DueItem) -> Result<()> {
        let mail: Mail = serde_json::from_value(item.payload.clone()).map_err(Error::internal)?;
        let sent = self.mailer.send(&mail).await;
        let outcome = match &sent {
            Ok(()) => "sent",
            Err(error) if error.kind == ErrorKind::Invalid => "refused",
            Err(_) => "failed",
        };
        metrics::counter!("mail_total", "outcome" => outcome).increment(1);
        sent
    }
}
