//! tasks: work items. Other services mostly listen to its events.

use async_trait::async_trait;
use kernel::ids::{CommentId, ProjectId, TaskId, UserId, WorkspaceId};
use kernel::{CallContext, Result, Timestamp};
use serde::{Deserialize, Serialize};

kernel::id_type!(
    /// One import of tasks from a file.
    ImportId,
);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetTasks {
    /// At most 500.
    pub ids: Vec<TaskId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSummary {
    pub id: TaskId,
    pub workspace_id: WorkspaceId,
    pub project_id: ProjectId,
    /// `ABC-123`.
    pub key: String,
    pub title: String,
    pub assignee_ids: Vec<UserId>,
    pub creator_id: Option<UserId>,
}

#[async_trait]
pub trait Tasks: Send + Sync + 'static {
    /// For services, without a permission check; unknown and deleted ids are left out.
    async fn get_tasks(&self, ctx: &CallContext, request: GetTasks) -> Result<Vec<TaskSummary>>;
}

/// Facts that tasks announces. Every one names the people concerned, so that a consumer need
/// not ask back.
pub mod events {
    use super::{CommentId, Deserialize, ImportId, ProjectId, Serialize, TaskId, Timestamp, UserId, WorkspaceId};
    use crate::event::event;

    /// What every task event says of its task.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct TaskRef {
        pub task_id: TaskId,
        pub workspace_id: WorkspaceId,
        pub project_id: ProjectId,
        pub title: String,
        /// After the change.
        pub assignee_ids: Vec<UserId>,
        pub creator_id: Option<UserId>,
        /// Version of the task after the change; consumers can tell old news from new.
        pub version: i64,
    }

    macro_rules! task_event {
        ($(#[$meta:meta])* $name:ident, $kind:literal { $($(#[$fmeta:meta])* $field:ident: $ty:ty),* $(,)? }) => {
            $(#[$meta])*
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
            pub struct $name {
                #[serde(flatten)]
                pub task: TaskRef,
                $($(#[$fmeta])* pub $field: $ty,)*
            }
            impl crate::event::EventPayload for $name {
                const TYPE: &'static str = $kind;
                fn subject(&self) -> String { self.task.task_id.to_string() }
                fn workspace_id(&self) -> Option<WorkspaceId> { Some(self.task.workspace_id) }
            }
        };
    }

    task_event!(TaskCreated, "tasks.task_created.v1" {
        /// People mentioned in the description.
        mentioned_ids: Vec<UserId>,
        /// Set when the task came with many others from a file; `TasksImported` then tells people of all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        import_id: Option<ImportId>,
    });
    task_event!(TaskUpdated, "tasks.task_updated.v1" {
        /// Names of the changed fields.
        changed: Vec<String>,
        /// People newly mentioned in the description.
        mentioned_ids: Vec<UserId>,
    });
    task_event!(
        /// Somebody became or ceased to be an assignee.
        TaskAssigned, "tasks.task_assigned.v1" { added_ids: Vec<UserId>, removed_ids: Vec<UserId> });
    task_event!(TaskCompleted, "tasks.task_completed.v1" {});
    task_event!(TaskReopened, "tasks.task_reopened.v1" {});
    task_event!(TaskArchived, "tasks.task_archived.v1" { archived: bool });
    task_event!(TaskDeleted, "tasks.task_deleted.v1" {});
    task_event!(TaskRestored, "tasks.task_restored.v1" {});
    task_event!(
    /// The task and another one were related. Announced for both, each from its own side and to the readers of its project.
    TaskRelated, "tasks.task_related.v1" {
        /// `blocks`, `blocked_by`, `relates`, `duplicates` or `duplicated_by`: what the task does to the other.
        relation: String,
        /// Absent where the other task lies in another project, which not all readers of this one can read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        other_id: Option<TaskId>,
    });
    task_event!(
    /// A relation ended. Announced for both tasks, each from its own side.
    TaskUnrelated, "tasks.task_unrelated.v1" {
        /// As in `TaskRelated`.
        relation: String,
        /// As in `TaskRelated`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        other_id: Option<TaskId>,
    });
    task_event!(
        /// The due moment comes within a day; once per due date.
        TaskDueSoon, "tasks.task_due_soon.v1" { due_at: Timestamp });
    task_event!(
        /// The due moment has passed; once per due date.
        TaskOverdue, "tasks.task_overdue.v1" { due_at: Timestamp });
    task_event!(CommentCreated, "tasks.comment_created.v1" {
        comment_id: CommentId,
        /// Start of the text, at most 200 characters.
        excerpt: String,
        mentioned_ids: Vec<UserId>,
    });
    task_event!(CommentUpdated, "tasks.comment_updated.v1" {
        comment_id: CommentId,
        /// Newly mentioned.
        mentioned_ids: Vec<UserId>,
    });
    task_event!(CommentDeleted, "tasks.comment_deleted.v1" { comment_id: CommentId });

    /// Tasks came from a file. Each has an event of its own as well, which names the import.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct TasksImported {
        pub import_id: ImportId,
        pub workspace_id: WorkspaceId,
        pub project_id: ProjectId,
        pub project_name: String,
        /// How many tasks.
        pub created: u32,
        /// Everybody to whom at least one of them is assigned.
        pub assignee_ids: Vec<UserId>,
    }
    event!(TasksImported, "tasks.tasks_imported.v1", subject: import_id, workspace: |e| Some(e.workspace_id));

    /// Labels or workspace states changed.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct TaskSettingsChanged {
        pub workspace_id: WorkspaceId,
        pub changed: Vec<String>,
    }
    event!(TaskSettingsChanged, "tasks.settings_changed.v1", subject: workspace_id, workspace: |e| Some(e.workspace_id));
}
