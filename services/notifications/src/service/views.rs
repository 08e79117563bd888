//! What the use cases give out.

use kernel::Timestamp;
use kernel::ids::{CommentId, InvitationId, NotificationId, ProjectId, TaskId, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{EmailMode, Kind, Level, Subject, sentence};
use crate::store::inbox::NotificationRow;

/// One notification of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotificationView {
    pub id: NotificationId,
    pub kind: Kind,
    /// One line in English. Clients that speak other languages build their own from the other members.
    #[schema(example = "Ada assigned ABC-12 Fix the login to you")]
    pub message: String,
    /// Title of the task, or name of the workspace, when it happened.
    #[schema(example = "Fix the login")]
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<WorkspaceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ABC-12")]
    pub task_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment_id: Option<CommentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invitation_id: Option<InvitationId>,
    /// Who caused it; absent when nobody in particular did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<UserId>,
    /// That person's name when it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_name: Option<String>,
    /// Start of the comment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
    /// For `task.due_soon` and `task.overdue`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// For `task.updated`: names of the changed fields.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub changed: Vec<String>,
    /// For `member.invited` and `member.role_changed`: the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    pub created_at: Timestamp,
    /// Absent while unread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
}

impl From<NotificationRow> for NotificationView {
    fn from(row: NotificationRow) -> Self {
        let content = row.content;
        Self {
            message: sentence(row.kind, &content),
            id: row.id,
            kind: row.kind,
            title: content.title,
            workspace_id: row.workspace_id,
            project_id: row.project_id,
            task_id: row.task_id,
            task_key: content.task_key,
            comment_id: content.comment_id,
            invitation_id: content.invitation_id,
            actor_id: row.actor_id,
            actor_name: content.actor_name,
            excerpt: content.excerpt,
            due_at: content.due_at,
            changed: content.changed,
            role: content.role,
            created_at: row.created_at,
            read_at: row.read_at,
        }
    }
}

/// Number of unread notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnreadCount {
    #[schema(example = 3)]
    pub unread: u64,
}

/// What marking all did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadAllResult {
    /// How many were unread before.
    #[schema(example = 3)]
    pub marked: u64,
}

/// How the caller gets the mails about notifications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"email_mode": "daily", "digest_hour": 8, "time_zone": "Europe/Berlin", "next_digest_at": "2026-11-22T07:00:00Z"}))]
pub struct SettingsView {
    pub email_mode: EmailMode,
    /// Hour of the day in `time_zone` at which the digest comes.
    #[schema(minimum = 0, maximum = 23)]
    pub digest_hour: u8,
    /// The caller's own, from the profile.
    pub time_zone: String,
    /// When the next digest comes; absent while nothing waits for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_digest_at: Option<Timestamp>,
}

/// What the caller chose to hear of a project or a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "subject": "task",
    "workspace_id": "0192f0c4-7c3e-7d6e-8a1b-2f4c6d8e0a13",
    "project_id": "0192f0c4-7c3e-7d6e-8a1b-2f4c6d8e0a14",
    "task_id": "0192f0c4-7c3e-7d6e-8a1b-2f4c6d8e0a15",
    "key": "ABC-12",
    "name": "Fix the login",
    "level": "subscribed",
    "effective_level": "subscribed",
    "created_at": "2026-11-21T09:30:00Z"
}))]
pub struct SubscriptionView {
    pub subject: Subject,
    pub workspace_id: WorkspaceId,
    /// The project, or that of the task.
    pub project_id: ProjectId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// Of the project, such as `ABC`, or of the task, such as `ABC-12`.
    pub key: String,
    /// Name of the project, or title of the task.
    pub name: String,
    /// What was chosen; absent when nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// What holds: for a task without a choice of its own that of its project. Absent: what concerns the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_level: Option<Level>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}
