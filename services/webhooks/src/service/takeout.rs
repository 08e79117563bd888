//! The webhooks of a workspace, as a file; their secrets are shown once and never again.

use async_trait::async_trait;
use kernel::{Error, Result};
use platform::Caller;
use platform::takeout::{Disclosure, Given, PART_ROWS, Part, Subject, Takeout};

use crate::WebhooksService;
use kernel::cursor::PageRequest;

/// What becomes of each table.
pub const DISCLOSED: &[Disclosure] = &[
    Disclosure::new("webhooks", Given::Not(SHARED), Given::In("webhooks")),
    Disclosure::new("webhook_old_secrets", Given::Not(SHARED), Given::Not(SECRET)),
    Disclosure::new("webhook_turns", Given::Not(SHARED), Given::Not(LOCK)),
    Disclosure::new("webhook_messages", Given::Not(SHARED), Given::Not(LOG)),
    Disclosure::new("webhook_deliveries", Given::Not(SHARED), Given::Not(LOG)),
    Disclosure::new("webhook_attempts", Given::Not(SHARED), Given::Not(LOG)),
];

const SHARED: &str = "belongs to the workspace, not to a person";
const SECRET: &str = "secrets are shown once, when they are made";
const LOCK: &str = "when a webhook was last made; the webhooks themselves say when they were";
const LOG: &str = "a log of some days of copies of events; what they tell is in the other files";

#[async_trait]
impl Takeout for WebhooksService {
    fn files(&self, subject: Subject) -> &'static [&'static str] {
        match subject {
            Subject::Person => &[],
            Subject::Workspace(_) => &["webhooks"],
        }
    }

    async fn part(&self, caller: &Caller, subject: Subject, file: &str, cursor: Option<String>) -> Result<Part> {
        let page = PageRequest { limit: PART_ROWS, cursor };
        match (subject, file) {
            (Subject::Workspace(id), "webhooks") => Part::page(self.list_webhooks(caller, id, page).await?),
            (_, other) => Err(Error::internal(format!("no file {other:?}"))),
        }
    }
}
