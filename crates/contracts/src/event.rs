//! The CloudEvents 1.0 envelope (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>).

use kernel::ids::{EventId, WorkspaceId};
use kernel::{Actor, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A fact that a service announces. `TYPE` is `<service>.<fact>.v<n>` and never changes meaning.
pub trait EventPayload: Serialize + DeserializeOwned + Send + Sync + 'static {
    const TYPE: &'static str;
    /// The aggregate the fact is about, e.g. the task id; order is kept per aggregate.
    fn subject(&self) -> String;
    /// The tenant; `None` for facts about a person alone.
    fn workspace_id(&self) -> Option<WorkspaceId>;
}

/// One event as it is stored in the outbox and sent to consumers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    pub specversion: String,
    pub id: EventId,
    /// `/services/<name>`.
    pub source: String,
    /// [`EventPayload::TYPE`].
    #[serde(rename = "type")]
    pub event_type: String,
    pub subject: String,
    pub time: Timestamp,
    pub datacontenttype: String,
    /// Extension: the tenant.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub workspaceid: Option<WorkspaceId>,
    /// Extension: who did it.
    pub actor: Actor,
    /// Extension: W3C trace context of the request that caused it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub traceparent: Option<String>,
    /// Extension: request id of the request that caused it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub requestid: Option<String>,
    pub data: serde_json::Value,
}

impl Envelope {
    /// The payload when this envelope is of type `P`; `None` for another type.
    pub fn payload<P: EventPayload>(&self) -> Option<Result<P, serde_json::Error>> {
        (self.event_type == P::TYPE).then(|| serde_json::from_value(self.data.clone()))
    }
}

/// Implements [`EventPayload`] for a struct with a subject field and a workspace expression.
macro_rules! event {
    ($name:ident, $kind:literal, subject: $subject:ident, workspace: $ws:expr) => {
        impl $crate::event::EventPayload for $name {
            const TYPE: &'static str = $kind;
            fn subject(&self) -> String {
                self.$subject.to_string()
            }
            fn workspace_id(&self) -> Option<kernel::ids::WorkspaceId> {
                let f: fn(&Self) -> Option<kernel::ids::WorkspaceId> = $ws;
                f(self)
            }
        }
    };
}
pub(crate) use event;
