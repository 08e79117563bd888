//! One message on its way to one webhook.

use kernel::Timestamp;
use kernel::ids::{EventId, WebhookId, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

kernel::id_type!(
    /// One message for one webhook.
    DeliveryId
);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeliveryState {
    /// To be sent, for the first time or again.
    Pending,
    /// The receiver answered 2xx.
    Delivered,
    /// Given up; it can be replayed.
    Failed,
}

impl DeliveryState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

impl std::str::FromStr for DeliveryState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Pending, Self::Delivered, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("unknown state {text:?}"))
    }
}

/// What is sent, the same to every webhook that wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Of the event; also `webhook-id`.
    pub id: EventId,
    pub workspace_id: WorkspaceId,
    pub event_type: String,
    /// The bytes that are signed.
    pub body: String,
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub id: DeliveryId,
    pub webhook_id: WebhookId,
    pub message_id: EventId,
    pub event_type: String,
    pub state: DeliveryState,
    pub tries: i32,
    pub attempts: i32,
    pub next_attempt_at: Option<Timestamp>,
    pub last_attempt_at: Option<Timestamp>,
    pub last_status: Option<i32>,
    pub last_error: Option<String>,
    pub delivered_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

impl Delivery {
    /// To be sent at once.
    pub fn new(id: DeliveryId, webhook_id: WebhookId, message: &Message, now: Timestamp) -> Self {
        Self {
            id,
            webhook_id,
            message_id: message.id,
            event_type: message.event_type.clone(),
            state: DeliveryState::Pending,
            tries: 0,
            attempts: 0,
            next_attempt_at: Some(now),
            last_attempt_at: None,
            last_status: None,
            last_error: None,
            delivered_at: None,
            created_at: now,
        }
    }
}

/// A delivery with what it sends.
#[derive(Debug, Clone)]
pub(crate) struct DueDelivery {
    pub delivery: Delivery,
    pub body: String,
}

/// One time it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub delivery_id: DeliveryId,
    /// From 1.
    pub number: i32,
    pub started_at: Timestamp,
    pub duration_ms: i64,
    pub status: Option<i32>,
    /// Why there is no status.
    pub error: Option<String>,
    /// Start of the answer, when it is text.
    pub response: Option<String>,
    pub response_truncated: bool,
}
