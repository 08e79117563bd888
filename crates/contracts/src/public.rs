//! Events as people's programs see them, live or by webhook: public names, and nothing about sessions or requests.

use kernel::Timestamp;
use kernel::ids::{EventId, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::catalog::EVENTS;
use crate::event::Envelope;

/// One fact as a live stream or a webhook sends it: CloudEvents 1.0 in its JSON format.
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

impl PublicEvent {
    /// `None` for facts that stay between services, and for facts outside any workspace.
    pub fn of(event: &Envelope) -> Option<Self> {
        Some(Self {
            specversion: event.specversion.clone(),
            id: event.id,
            source: event.source.clone(),
            event_type: public_type(&event.event_type)?.to_owned(),
            subject: event.subject.clone(),
            time: event.time,
            datacontenttype: event.datacontenttype.clone(),
            workspaceid: event.workspaceid?,
            actorid: event.actor.user_id(),
            data: event.data.clone(),
        })
    }
}

/// `tasks.task_created.v1` is `task.created` to the outside: services and payload versions are our business. The names
/// stand in the catalog.
pub fn public_type(internal: &str) -> Option<&'static str> {
    EVENTS.iter().find(|event| event.event_type == internal)?.public_type
}

#[cfg(test)]
mod tests {
    use kernel::Actor;
    use kernel::ids::{EntityId, SessionId, Uuid};

    use super::*;

    #[test]
    fn public_names_have_no_service_and_no_version() {
        for (internal, public) in [
            ("tasks.task_created.v1", Some("task.created")),
            ("tasks.settings_changed.v1", Some("task_settings.changed")),
            ("workspaces.member_invited.v1", Some("invitation.created")),
            ("identity.user_registered.v1", None),
            ("tasks.no_such_event.v1", None),
        ] {
            assert_eq!(public_type(internal), public);
        }
    }

    #[test]
    fn nothing_about_session_and_request_gets_out() {
        let id = Uuid::from_u128(7);
        let mut event = Envelope {
            specversion: "1.0".into(),
            id: EventId::from_uuid(id),
            source: "/services/tasks".into(),
            event_type: "tasks.task_created.v1".into(),
            subject: "s".into(),
            time: Timestamp::from_seconds(1),
            datacontenttype: "application/json".into(),
            workspaceid: Some(WorkspaceId::from_uuid(id)),
            actor: Actor::User {
                user_id: UserId::from_uuid(id),
                session_id: SessionId::from_uuid(Uuid::from_u128(0xdead_beef)),
            },
            traceparent: Some("trace".into()),
            requestid: Some("request".into()),
            data: serde_json::json!({}),
        };
        let public = serde_json::to_string(&PublicEvent::of(&event).expect("public")).expect("json");
        for secret in ["deadbeef", "trace", "request", "tasks.task_created"] {
            assert!(!public.contains(secret), "{secret} in {public}");
        }
        event.workspaceid = None;
        assert_eq!(PublicEvent::of(&event), None);
    }
}
