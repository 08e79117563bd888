//! Projects of a workspace.

use kernel::Timestamp;
use kernel::ids::{ProjectId, UserId, WorkspaceId};
use kernel::roles::Role;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Project {
    pub id: ProjectId,
    pub workspace_id: WorkspaceId,
    /// `ABC`; fixed, because task keys such as `ABC-123` carry it.
    pub key: String,
    pub name: String,
    pub description: Option<String>,
    pub private: bool,
    pub version: i64,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub archived_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    /// Unknown for what an older version deleted.
    pub deleted_by: Option<UserId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProjectState {
    Active,
    Archived,
    Deleted,
}

impl ProjectState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Archived => "archived",
            Self::Deleted => "deleted",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProjectMember {
    pub project_id: ProjectId,
    pub user_id: UserId,
    pub workspace_id: WorkspaceId,
    pub role: Role,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
