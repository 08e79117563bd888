//! Saved views.

use kernel::Timestamp;
use kernel::ids::{ProjectId, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::saved::{SavedView, ViewId};

/// Who sees a saved view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Only who made it.
    Personal,
    /// Everybody who can read the project, or the workspace when the view is of none.
    Shared,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({"id": "01910000-0000-7000-8000-000000000061", "workspace_id": "01910000-0000-7000-8000-000000000001", "project_id": null,
    "owner_id": "01910000-0000-7000-8000-000000000021", "visibility": "shared", "name": "Urgent and mine",
    "query": "status=open,in_progress&assignee=me&sort=-priority,due_at", "position": 1000, "is_default": false, "version": 1,
    "created_at": "2026-11-21T09:30:00Z", "updated_at": "2026-11-21T09:30:00Z"}))]
pub struct SavedViewView {
    pub id: ViewId,
    pub workspace_id: WorkspaceId,
    pub project_id: Option<ProjectId>,
    pub owner_id: UserId,
    pub visibility: Visibility,
    #[schema(example = "Urgent and mine")]
    pub name: String,
    /// Filters and sort in the words of `GET /v1/tasks`.
    #[schema(example = "status=open,in_progress&assignee=me&sort=-priority,due_at")]
    pub query: String,
    /// Order among the views; equal positions are ordered by name.
    pub position: i32,
    /// The one to start with: of everybody for a shared view, of its owner for a personal one; in its project or in the
    /// workspace. There is at most one of each.
    pub is_default: bool,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl From<SavedView> for SavedViewView {
    fn from(view: SavedView) -> Self {
        Self {
            id: view.id,
            workspace_id: view.workspace_id,
            project_id: view.project_id,
            owner_id: view.owner_id,
            visibility: if view.shared { Visibility::Shared } else { Visibility::Personal },
            name: view.name,
            query: view.query,
            position: view.position,
            is_default: view.is_default,
            version: view.version,
            created_at: view.created_at,
            updated_at: view.updated_at,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SavedViewList {
    pub items: Vec<SavedViewView>,
}
