//! What the API shows.

use kernel::Timestamp;
use kernel::ids::{EventId, ProjectId, UserId, WebhookId, WorkspaceId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::{Attempt, Delivery, DeliveryId, DeliveryState, DisabledReason, Webhook};

/// A place that events of the workspace are sent to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct WebhookView {
    pub id: WebhookId,
    pub workspace_id: WorkspaceId,
    /// Only events of this project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    #[schema(example = "https://hooks.example.com/guildhall")]
    pub url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Names such as `task.created`, groups such as `task.*`, or `*`.
    #[schema(example = json!(["task.*", "member.added"]))]
    pub event_types: Vec<String>,
    /// While it is false nothing is sent, and what happens is not kept for it.
    pub enabled: bool,
    /// Why it is disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<DisabledReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
    /// The first failure after the last success; absent while all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<Timestamp>,
    /// The receiver asked for quiet (429 or 503 with `Retry-After`): nothing is sent before. Changing the URL ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<Timestamp>,
    /// Until then messages carry signatures of replaced secrets as well: the end of the last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_secret_expires_at: Option<Timestamp>,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Also in `ETag`.
    pub version: i64,
}

impl WebhookView {
    pub fn new(webhook: &Webhook, now: Timestamp) -> Self {
        Self {
            id: webhook.id,
            workspace_id: webhook.workspace_id,
            project_id: webhook.project_id,
            url: webhook.url.clone(),
            description: webhook.description.clone(),
            event_types: webhook.event_types.clone(),
            enabled: webhook.enabled,
            disabled_reason: webhook.disabled_reason,
            disabled_at: webhook.disabled_at,
            failing_since: webhook.failing_since,
            last_success_at: webhook.last_success_at,
            paused_until: webhook.paused_until.filter(|end| now < *end),
            old_secret_expires_at: webhook.old_secret_expires_at.filter(|end| now < *end),
            created_by: webhook.created_by,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
            version: webhook.version,
        }
    }
}

/// A webhook with its new secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct WebhookWithSecretView {
    #[serde(flatten)]
    pub webhook: WebhookView,
    /// Verifies the signatures. Shown this once; an answer repeated for its `Idempotency-Key` lacks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub secret: Option<String>,
}

/// One message on its way to one webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct DeliveryView {
    pub id: DeliveryId,
    pub webhook_id: WebhookId,
    /// Sent as `webhook-id`; the same as the event's `id` in the body.
    pub event_id: EventId,
    #[schema(example = "task.created")]
    pub event_type: String,
    pub state: DeliveryState,
    /// How often it was sent so far.
    pub attempts: i32,
    /// When it is sent next; not before the end of a pause of the webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempt_at: Option<Timestamp>,
    /// HTTP status of the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 204)]
    pub last_status: Option<i32>,
    /// Why the last attempt got no answer, or why it is not sent any more: `timeout`, `connection_failed`,
    /// `tls_failed`, `host_not_found`, `address_not_allowed`, `protocol_error`, `webhook_disabled` and others.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "timeout")]
    pub last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

impl DeliveryView {
    pub fn new(delivery: Delivery, webhook: &Webhook) -> Self {
        Self {
            id: delivery.id,
            webhook_id: delivery.webhook_id,
            event_id: delivery.message_id,
            event_type: delivery.event_type,
            state: delivery.state,
            attempts: delivery.attempts,
            next_attempt_at: delivery.next_attempt_at.map(|at| webhook.after_pause(at)),
            last_attempt_at: delivery.last_attempt_at,
            last_status: delivery.last_status,
            last_error: delivery.last_error,
            delivered_at: delivery.delivered_at,
            created_at: delivery.created_at,
        }
    }
}

/// One time it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct AttemptView {
    /// From 1.
    pub number: i32,
    pub started_at: Timestamp,
    /// Milliseconds until the answer was read, or until it was given up.
    #[schema(example = 87)]
    pub duration_ms: i64,
    /// HTTP status of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 503)]
    pub status: Option<i32>,
    /// Why there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "timeout")]
    pub error: Option<String>,
    /// Start of the answer, when it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    /// There was more of the answer.
    pub response_truncated: bool,
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            number: attempt.number,
            started_at: attempt.started_at,
            duration_ms: attempt.duration_ms,
            status: attempt.status,
            error: attempt.error,
            response: attempt.response,
            response_truncated: attempt.response_truncated,
        }
    }
}

/// A delivery with what it sends and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct DeliveryDetailView {
    #[serde(flatten)]
    pub delivery: DeliveryView,
    /// The body as it is sent: a `PublicEvent`.
    #[schema(value_type = Object)]
    pub payload: serde_json::Value,
    /// The newest 50 attempts, oldest first.
    pub attempt_log: Vec<AttemptView>,
}

/// What a replay of failed deliveries found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ReplayView {
    /// Deliveries that are sent again.
    pub replayed: u64,
    /// There are more; repeat the request.
    pub more: bool,
}
