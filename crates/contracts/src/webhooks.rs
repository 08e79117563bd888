//! webhooks: events sent to programs of the workspace's own. Nobody calls it; it announces what its administrators do.

/// Facts that webhooks announces.
pub mod events {
    use kernel::ids::{WebhookId, WorkspaceId};
    use serde::{Deserialize, Serialize};

    use crate::event::event;

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct WebhookCreated {
        pub workspace_id: WorkspaceId,
        pub webhook_id: WebhookId,
        /// Host of the URL; the rest of a URL may hold a secret.
        pub host: String,
        /// Patterns such as `task.*`.
        pub event_types: Vec<String>,
    }
    event!(WebhookCreated, "webhooks.webhook_created.v1", subject: webhook_id, workspace: |e| Some(e.workspace_id));

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct WebhookUpdated {
        pub workspace_id: WorkspaceId,
        pub webhook_id: WebhookId,
        pub host: String,
        /// Names of the changed fields; `secret` when it was rotated.
        pub changed: Vec<String>,
    }
    event!(WebhookUpdated, "webhooks.webhook_updated.v1", subject: webhook_id, workspace: |e| Some(e.workspace_id));

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct WebhookDeleted {
        pub workspace_id: WorkspaceId,
        pub webhook_id: WebhookId,
        pub host: String,
    }
    event!(WebhookDeleted, "webhooks.webhook_deleted.v1", subject: webhook_id, workspace: |e| Some(e.workspace_id));

    /// Switched off by the program itself, not by a person.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct WebhookDisabled {
        pub workspace_id: WorkspaceId,
        pub webhook_id: WebhookId,
        pub host: String,
        /// `gone`, `failing` or `project_deleted`.
        pub reason: String,
    }
    event!(WebhookDisabled, "webhooks.webhook_disabled.v1", subject: webhook_id, workspace: |e| Some(e.workspace_id));
}
