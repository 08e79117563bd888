//! notifications: the inbox and live events. Nobody calls it; it announces what it made.

/// Facts that notifications announces.
pub mod events {
    use kernel::ids::{NotificationId, UserId, WorkspaceId};
    use serde::{Deserialize, Serialize};

    use crate::event::event;

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct NotificationCreated {
        pub notification_id: NotificationId,
        pub user_id: UserId,
        pub workspace_id: Option<WorkspaceId>,
        /// Such as `task.assigned`.
        pub kind: String,
    }
    event!(NotificationCreated, "notifications.notification_created.v1", subject: user_id, workspace: |e| e.workspace_id);
}
