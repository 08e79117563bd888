//! What a workspace's trash shows.

use contracts::workspaces::DeletedProject;
use kernel::Timestamp;
use kernel::ids::{EntityId, ProjectId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// What can lie in the trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrashKind {
    /// Restored by `POST /v1/tasks/{id}/restore` with the sub-tasks that were deleted with it.
    Task,
    /// Restored by `POST /v1/projects/{id}/restore` with all its tasks.
    Project,
}

impl TrashKind {
    pub(crate) const ALL: [Self; 2] = [Self::Task, Self::Project];
}

impl std::str::FromStr for TrashKind {
    type Err = crate::model::UnknownName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "task" => Ok(Self::Task),
            "project" => Ok(Self::Project),
            _ => Err(crate::model::UnknownName),
        }
    }
}

/// Something deleted that can still be restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({"kind": "task", "id": "01910000-0000-7000-8000-000000000011", "project_id": "01910000-0000-7000-8000-000000000002", "key": "ABC-12",
    "title": "Write the release notes", "deleted_by": "01910000-0000-7000-8000-000000000021", "deleted_at": "2026-11-21T09:30:00Z", "purge_at": "2026-12-21T09:30:00Z"}))]
pub struct TrashItem {
    pub kind: TrashKind,
    pub id: Uuid,
    /// The project itself, or the one that the task lies in.
    pub project_id: ProjectId,
    /// What people call it: `ABC-12`, or the key of the project.
    #[schema(example = "ABC-12")]
    pub key: String,
    /// Title of the task, or name of the project.
    pub title: String,
    /// Absent when nobody in particular did, or when it was deleted by an older version that did not note it.
    pub deleted_by: Option<UserId>,
    pub deleted_at: Timestamp,
    /// Until then it can be restored; soon after it is erased.
    pub purge_at: Timestamp,
}

impl From<DeletedProject> for TrashItem {
    fn from(project: DeletedProject) -> Self {
        Self {
            kind: TrashKind::Project,
            id: project.project_id.uuid(),
            project_id: project.project_id,
            key: project.key,
            title: project.name,
            deleted_by: project.deleted_by,
            deleted_at: project.deleted_at,
            purge_at: project.purge_at,
        }
    }
}
