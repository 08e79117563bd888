//! Every event there is, in one list: goldens, the AsyncAPI document and their completeness checks are made from it.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use crate::event::EventPayload;
use crate::{audit, identity, notifications, tasks, webhooks, workspaces};

/// One event type.
#[derive(Debug, Clone, Copy)]
pub struct EventKind {
    /// [`EventPayload::TYPE`].
    pub event_type: &'static str,
    /// Name of the payload's schema.
    pub schema_name: &'static str,
    /// The name under which `/v1/events` streams it and webhooks send it; `None`: it stays between services.
    pub public_type: Option<&'static str>,
    /// Reads the payload and writes it again, as a consumer of today would.
    pub round_trip: fn(Value) -> Result<Value, serde_json::Error>,
    /// Adds the payload's schema and those it refers to.
    pub collect_schemas: fn(&mut BTreeMap<String, Value>),
}

fn round_trip<P: EventPayload>(data: Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_value::<P>(data)?)
}

fn collect_schemas<P: PartialSchema + ToSchema>(schemas: &mut BTreeMap<String, Value>) {
    let mut found: Vec<(String, RefOr<Schema>)> = vec![(P::name().into_owned(), P::schema())];
    P::schemas(&mut found);
    for (name, schema) in found {
        // A schema is a plain struct; serialising it cannot fail.
        schemas.insert(name, serde_json::to_value(schema).unwrap_or_default());
    }
}

macro_rules! catalog {
    ($($service:ident: $($payload:ident $(=> $public:literal)?),+;)+) => {
        /// All events, by service.
        pub const EVENTS: &[EventKind] = &[$($(EventKind {
            event_type: <$service::events::$payload as EventPayload>::TYPE,
            schema_name: stringify!($payload),
            public_type: catalog!(@public $($public)?),
            round_trip: round_trip::<$service::events::$payload>,
            collect_schemas: collect_schemas::<$service::events::$payload>,
        }),+),+];
    };
    (@public $public:literal) => { Some($public) };
    (@public) => { None };
}

catalog! {
    audit:
        ActionRecorded;
    identity:
        UserRegistered,
        EmailVerified,
        ProfileUpdated,
        UserDeactivated,
        SessionsEnded;
    workspaces:
        WorkspaceCreated,
        WorkspaceUpdated => "workspace.updated",
        WorkspaceDeleted => "workspace.deleted",
        WorkspaceRestored => "workspace.restored",
        WorkspacePurged,
        MemberAdded => "member.added",
        RoleChanged => "member.role_changed",
        MemberRemoved => "member.removed",
        MemberInvited => "invitation.created",
        ProjectCreated => "project.created",
        ProjectUpdated => "project.updated",
        ProjectDeleted => "project.deleted",
        ProjectRestored => "project.restored",
        ProjectPurged;
    tasks:
        TaskCreated => "task.created",
        TaskUpdated => "task.updated",
        TaskAssigned => "task.assigned",
        TaskCompleted => "task.completed",
        TaskReopened => "task.reopened",
        TaskArchived => "task.archived",
        TaskDeleted => "task.deleted",
        TaskRestored => "task.restored",
        TaskRelated => "task.related",
        TaskUnrelated => "task.unrelated",
        TaskDueSoon => "task.due_soon",
        TaskOverdue => "task.overdue",
        CommentCreated => "comment.created",
        CommentUpdated => "comment.updated",
        CommentDeleted => "comment.deleted",
        TasksImported => "tasks.imported",
        TaskSettingsChanged => "task_settings.changed";
    notifications:
        NotificationCreated => "notification.created";
    webhooks:
        WebhookCreated,
        WebhookUpdated,
        WebhookDeleted,
        WebhookDisabled;
}
