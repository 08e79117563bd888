//! SQL only: free functions over `&Db` to read or `&mut Unit` to write.

pub(crate) mod checks;
pub(crate) mod deliveries;
pub(crate) mod secrets;
pub(crate) mod webhooks;

use kernel::Timestamp;
use kernel::ids::{EntityId, Uuid};
use sea_query::Iden;

#[derive(Iden, Clone, Copy)]
enum Webhooks {
    Table,
    Id,
    WorkspaceId,
    ProjectId,
    Url,
    Description,
    EventTypes,
    Enabled,
    DisabledReason,
    DisabledAt,
    Secret,
    OldSecret,
    OldSecretExpiresAt,
    FailingSince,
    LastSuccessAt,
    PausedUntil,
    Version,
    CreatedBy,
    CreatedAt,
    UpdatedAt,
}

#[derive(Iden, Clone, Copy)]
enum WebhookOldSecrets {
    Table,
    WebhookId,
    Version,
    Secret,
    ExpiresAt,
}

#[derive(Iden, Clone, Copy)]
enum WebhookTurns {
    Table,
    WorkspaceId,
    TakenAt,
}

#[derive(Iden, Clone, Copy)]
enum WebhookMessages {
    Table,
    Id,
    WorkspaceId,
    EventType,
    Body,
    CreatedAt,
}

#[derive(Iden, Clone, Copy)]
enum WebhookDeliveries {
    Table,
    Id,
    WebhookId,
    MessageId,
    EventType,
    State,
    Tries,
    Attempts,
    NextAttemptAt,
    LastAttemptAt,
    LastStatus,
    LastError,
    DeliveredAt,
    CreatedAt,
}

#[derive(Iden, Clone, Copy)]
enum WebhookAttempts {
    Table,
    DeliveryId,
    Number,
    StartedAt,
    DurationMs,
    Status,
    Error,
    Response,
    ResponseTruncated,
}

fn uuid_opt<T: EntityId>(id: Option<T>) -> Option<Uuid> {
    id.map(EntityId::uuid)
}

fn micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_micros)
}
