//! Saved views: a list's filters and sort under a name.

use kernel::Timestamp;
use kernel::ids::{ProjectId, UserId, WorkspaceId};

kernel::id_type!(
    /// A saved view.
    ViewId,
);

/// Longest name, in characters.
pub(crate) const MAX_NAME: usize = 100;
/// Longest query, in characters.
pub(crate) const MAX_QUERY: usize = 2_000;
/// Most views that a workspace shares, and most that one person keeps there alone.
pub(crate) const MAX_SHARED: usize = 200;
pub(crate) const MAX_PERSONAL: usize = 100;
pub(crate) const MAX_POSITION: i32 = 1_000_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SavedView {
    pub id: ViewId,
    pub workspace_id: WorkspaceId,
    /// Shows only this project, and belongs to it.
    pub project_id: Option<ProjectId>,
    /// Who made it.
    pub owner_id: UserId,
    /// Everybody who can read the project (or the workspace) sees it; otherwise only its owner.
    pub shared: bool,
    pub name: String,
    /// Filters and sort as in `GET /v1/tasks?…`.
    pub query: String,
    /// Order among the views; equal positions are ordered by name.
    pub position: i32,
    pub is_default: bool,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl SavedView {
    /// Where the view is the default, if it is one: for everybody or for its owner, in its project or in the workspace.
    pub fn default_of(&self) -> String {
        let place = self
            .project_id
            .map_or_else(|| self.workspace_id.to_string(), |project| project.to_string());
        if self.shared {
            format!("shared:{place}")
        } else {
            format!("{}:{place}", self.owner_id)
        }
    }
}
