//! Outgoing mail. Services schedule mails as due work in their unit; the handler sends them.

use async_trait::async_trait;
use kernel::Result;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// `Unavailable` and `Timeout` are worth a retry; `Invalid` is not.
    async fn send(&self, mail: &Mail) -> Result<()>;
}
