//! A place that events are sent to.

use kernel::Timestamp;
use kernel::ids::{ProjectId, UserId, WebhookId, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::pattern::matches;

/// Why nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DisabledReason {
    /// A person switched it off.
    Manual,
    /// The receiver answered 410.
    Gone,
    /// Nothing but failures for days.
    Failing,
    /// The project whose events it wanted is gone for ever.
    ProjectDeleted,
}

impl DisabledReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Gone => "gone",
            Self::Failing => "failing",
            Self::ProjectDeleted => "project_deleted",
        }
    }
}

impl std::str::FromStr for DisabledReason {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Manual, Self::Gone, Self::Failing, Self::ProjectDeleted]
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or_else(|| format!("unknown reason {text:?}"))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Webhook {
    pub id: WebhookId,
    pub workspace_id: WorkspaceId,
    pub project_id: Option<ProjectId>,
    pub url: String,
    pub description: Option<String>,
    pub event_types: Vec<String>,
    pub enabled: bool,
    pub disabled_reason: Option<DisabledReason>,
    pub disabled_at: Option<Timestamp>,
    /// Sealed.
    pub secret: String,
    /// When the last [`OldSecret`] ends.
    pub old_secret_expires_at: Option<Timestamp>,
    pub failing_since: Option<Timestamp>,
    pub last_success_at: Option<Timestamp>,
    pub paused_until: Option<Timestamp>,
    pub version: i64,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Webhook {
    /// Whether an event goes here.
    pub fn wants(&self, event_type: &str, project_id: Option<ProjectId>) -> bool {
        self.enabled
            && (self.project_id.is_none() || self.project_id == project_id)
            && self.event_types.iter().any(|pattern| matches(pattern, event_type))
    }

    /// Nothing is sent before the receiver's quiet is over.
    pub fn after_pause(&self, at: Timestamp) -> Timestamp {
        self.paused_until.map_or(at, |until| at.max(until))
    }
}

/// Replaced secrets of one webhook that sign at the same time: each makes every message longer.
pub(crate) const MAX_OLD_SECRETS: usize = 5;

/// A secret that was replaced and signs on for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OldSecret {
    pub webhook_id: WebhookId,
    /// Version of the webhook that came with the next secret: the greater, the newer.
    pub version: i64,
    /// Sealed.
    pub secret: String,
    pub expires_at: Timestamp,
}
