//! Events as people's programs see them: public names, and nothing about sessions or requests.

use kernel::Timestamp;
use kernel::ids::{EventId, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One fact as a live stream sends it: CloudEvents 1.0 in its JSON format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PublicEvent {
    #[schema(example = "1.0")]
    pub specversion: String,
    /// The same fact always has the same id, so a client can drop repeats.
    pub id: EventId,
    #[schema(example = "/services/tasks")]
    pub source: String,
    #[serde(rename = "type")]
    #[schema(example = "task.created")]
    pub event_type: String,
    /// Id of what the fact is about; facts about the same subject come in order.
    pub subject: String,
    pub time: Timestamp,
    #[schema(example = "application/json")]
    pub datacontenttype: String,
    /// Extension attribute: the workspace.
    pub workspaceid: WorkspaceId,
    /// Extension attribute: who did it; absent when nobody in particular did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actorid: Option<UserId>,
    /// What happened; its members depend on `type`.
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
}

/// `tasks.task_created.v1` is `task.created` to the outside: services and payload versions are our business.
pub(crate) fn public_type(internal: &str) -> String {
    let mut parts = internal.split('.');
    let service = parts.next().unwrap_or_default();
    let fact = parts.next().unwrap_or(service);
    match (service, fact) {
        ("tasks", "settings_changed") => "task_settings.changed".to_owned(),
        ("workspaces", "member_invited") => "invitation.created".to_owned(),
        ("workspaces", "role_changed") => "member.role_changed".to_owned(),
        _ => fact.replacen('_', ".", 1),
    }
}

#[cfg(test)]
mod tests {
    use super::public_type;

    #[test]
    fn public_names_have_no_service_and_no_version() {
        for (internal, public) in [
            ("tasks.task_created.v1", "task.created"),
            ("tasks.task_due_soon.v1", "task.due_soon"),
            ("tasks.comment_deleted.v1", "comment.deleted"),
            ("tasks.settings_changed.v1", "task_settings.changed"),
            ("workspaces.role_changed.v1", "member.role_changed"),
            ("workspaces.member_invited.v1", "invitation.created"),
            ("workspaces.member_removed.v1", "member.removed"),
            ("notifications.notification_created.v1", "notification.created"),
        ] {
            assert_eq!(public_type(internal), public);
        }
    }
}
