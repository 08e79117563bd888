//! workspaces: tenants, their members and projects.

use async_trait::async_trait;
use kernel::ids::{ProjectId, UserId, WorkspaceId};
use kernel::roles::{Permission, Role, SalesRole};
use kernel::{CallContext, Result, Timestamp};
use serde::{Deserialize, Serialize};

/// Asks what `user_id` may do in a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GetMembership {
    pub user_id: UserId,
    pub workspace_id: WorkspaceId,
}

/// A person's standing in one workspace. Deleted workspaces have no members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    pub workspace_id: WorkspaceId,
    pub user_id: UserId,
    pub role: Role,
    pub sales_role: Option<SalesRole>,
    /// The workspace demands `If-Match` on every change.
    pub strict_concurrency: bool,
    /// IANA name of the workspace's zone.
    pub time_zone: String,
}

impl Membership {
    pub fn permits(&self, permission: Permission) -> bool {
        self.role.permits(permission) || self.sales_role.is_some_and(|role| role.permits(permission))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GetProjectAccess {
    pub user_id: UserId,
    pub project_id: ProjectId,
}

/// A person's standing in one project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectAccess {
    pub workspace_id: WorkspaceId,
    pub project_id: ProjectId,
    /// Such as `ABC`.
    pub project_key: String,
    pub project_name: String,
    pub archived: bool,
    /// [`kernel::roles::effective_role`] of workspace and project role.
    pub role: Role,
    pub strict_concurrency: bool,
    /// IANA name of the workspace's zone.
    pub time_zone: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ListProjectAccess {
    pub user_id: UserId,
    /// Only this workspace; all of the person's workspaces otherwise.
    pub workspace_id: Option<WorkspaceId>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListMembers {
    pub workspace_id: WorkspaceId,
    /// Only those who can read this project.
    pub project_id: Option<ProjectId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberSummary {
    pub user_id: UserId,
    /// Effective role in the project when one was asked for, else in the workspace.
    pub role: Role,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckInvitation {
    pub email: String,
    /// As the invited person holds it.
    pub token: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationState {
    /// Pending, unexpired, and made for this address (or for nobody in particular).
    pub valid: bool,
}

/// An account is about to be made by an invitation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClaimInvitation {
    pub email: String,
    /// As the invited person holds it.
    pub token: String,
    /// The id the account shall have.
    pub user_id: UserId,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListSoleOwned {
    pub user_id: UserId,
}

/// A live workspace that would be without an owner if the person went, though others work in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoleOwnedWorkspace {
    pub workspace_id: WorkspaceId,
    pub name: String,
    /// How many people besides the owner are in it; at least one.
    pub other_members: i64,
}

/// Asks for the projects that somebody could restore.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListDeletedProjects {
    pub user_id: UserId,
    pub workspace_id: WorkspaceId,
    /// Only those deleted before this one: by the moment, then by the id.
    pub before: Option<(Timestamp, ProjectId)>,
    /// At most 500.
    pub limit: u64,
}

/// A project that lies deleted and can be restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedProject {
    pub project_id: ProjectId,
    pub key: String,
    pub name: String,
    pub deleted_at: Timestamp,
    /// `None`: an older version did not note it.
    pub deleted_by: Option<UserId>,
    /// Until then it can be restored.
    pub purge_at: Timestamp,
}

#[async_trait]
pub trait Workspaces: Send + Sync + 'static {
    /// `None`: no such workspace, or not a member.
    async fn get_membership(&self, ctx: &CallContext, request: GetMembership) -> Result<Option<Membership>>;
    /// `None`: no such project, a deleted one, or no access.
    async fn get_project_access(&self, ctx: &CallContext, request: GetProjectAccess) -> Result<Option<ProjectAccess>>;
    /// All projects the person can read, archived ones included. At most 5,000.
    async fn list_project_access(&self, ctx: &CallContext, request: ListProjectAccess) -> Result<Vec<ProjectAccess>>;
    async fn list_members(&self, ctx: &CallContext, request: ListMembers) -> Result<Vec<MemberSummary>>;
    /// For registration by invitation.
    async fn check_invitation(&self, ctx: &CallContext, request: CheckInvitation) -> Result<InvitationState>;
    /// Spends an invitation on one account before the account is made, and gives the id it must be made under: another
    /// than asked for where the same address was here before. `None`: not valid, or spent on somebody else. Idempotent.
    async fn claim_invitation(&self, ctx: &CallContext, request: ClaimInvitation) -> Result<Option<UserId>>;
    /// What somebody must settle before their account goes. The oldest 100; those with nobody else in them are left out.
    async fn list_sole_owned(&self, ctx: &CallContext, request: ListSoleOwned) -> Result<Vec<SoleOwnedWorkspace>>;
    /// Last deleted first; those whose time is over are left out. Whoever deletes no projects has none.
    async fn list_deleted_projects(&self, _: &CallContext, _: ListDeletedProjects) -> Result<Vec<DeletedProject>> {
        Ok(Vec::new())
    }
}

/// Facts that workspaces announces.
pub mod events {
    use super::{Deserialize, ProjectId, Role, SalesRole, Serialize, UserId, WorkspaceId};
    use crate::event::event;
    use kernel::ids::InvitationId;

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct WorkspaceCreated {
        pub workspace_id: WorkspaceId,
        pub name: String,
        pub slug: String,
        pub owner_id: UserId,
    }
    event!(WorkspaceCreated, "workspaces.workspace_created.v1", subject: workspace_id, workspace: |e| Some(e.workspace_id));

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct WorkspaceUpdated {
        pub workspace_id: WorkspaceId,
        pub name: String,
        pub slug: String,
        pub changed: Vec<String>,
    }
    event!(WorkspaceUpdated, "workspaces.workspace_updated.v1", subject: workspace_id, workspace: |e| Some(e.workspace_id));

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct WorkspaceDeleted {
        pub workspace_id: WorkspaceId,
    }
    event!(WorkspaceDeleted, "workspaces.workspace_deleted.v1", subject: workspace_id, workspace: |e| Some(e.workspace_id));

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct WorkspaceRestored {
        pub workspace_id: WorkspaceId,
    }
    event!(WorkspaceRestored, "workspaces.workspace_restored.v1", subject: workspace_id, workspace: |e| Some(e.workspace_id));

    /// The 30 days are over; consumers erase what belongs to the workspace.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct WorkspacePurged {
        pub workspace_id: WorkspaceId,
    }
    event!(WorkspacePurged, "workspaces.workspace_purged.v1", subject: workspace_id, workspace: |e| Some(e.workspace_id));

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct MemberAdded {
        pub workspace_id: WorkspaceId,
        pub workspace_name: String,
        pub user_id: UserId,
        pub role: Role,
        pub sales_role: Option<SalesRole>,
    }
    event!(MemberAdded, "workspaces.member_added.v1", subject: workspace_id, workspace: |e| Some(e.workspace_id));

    /// Workspace role (`project_id` absent) or project role changed.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct RoleChanged {
        pub workspace_id: WorkspaceId,
        pub workspace_name: String,
        pub project_id: Option<ProjectId>,
        pub project_name: Option<String>,
        pub user_id: UserId,
        /// `None` when a project role was given or taken away.
        pub old_role: Option<Role>,
        pub new_role: Option<Role>,
        pub old_sales_role: Option<SalesRole>,
        pub new_sales_role: Option<SalesRole>,
    }
    event!(RoleChanged, "workspaces.role_changed.v1", subject: workspace_id, workspace: |e| Some(e.workspace_id));

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct MemberRemoved {
        pub workspace_id: WorkspaceId,
        pub user_id: UserId,
        /// The person left; nobody removed them.
        pub left: bool,
    }
    event!(MemberRemoved, "workspaces.member_removed.v1", subject: workspace_id, workspace: |e| Some(e.workspace_id));

    /// `user_id` is set when the address belongs to a known account.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct MemberInvited {
        pub workspace_id: WorkspaceId,
        pub workspace_name: String,
        pub invitation_id: InvitationId,
        pub email: Option<String>,
        pub user_id: Option<UserId>,
        pub role: Role,
    }
    event!(MemberInvited, "workspaces.member_invited.v1", subject: workspace_id, workspace: |e| Some(e.workspace_id));

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct ProjectCreated {
        pub workspace_id: WorkspaceId,
        pub project_id: ProjectId,
        pub key: String,
        pub name: String,
    }
    event!(ProjectCreated, "workspaces.project_created.v1", subject: project_id, workspace: |e| Some(e.workspace_id));

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct ProjectUpdated {
        pub workspace_id: WorkspaceId,
        pub project_id: ProjectId,
        pub key: String,
        pub name: String,
        pub archived: bool,
        pub changed: Vec<String>,
    }
    event!(ProjectUpdated, "workspaces.project_updated.v1", subject: project_id, workspace: |e| Some(e.workspace_id));

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct ProjectDeleted {
        pub workspace_id: WorkspaceId,
        pub project_id: ProjectId,
    }
    event!(ProjectDeleted, "workspaces.project_deleted.v1", subject: project_id, workspace: |e| Some(e.workspace_id));

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct ProjectRestored {
        pub workspace_id: WorkspaceId,
        pub project_id: ProjectId,
    }
    event!(ProjectRestored, "workspaces.project_restored.v1", subject: project_id, workspace: |e| Some(e.workspace_id));

    /// The 30 days are over; consumers erase what belongs to the project. Not sent for the projects of a purged
    /// workspace: [`WorkspacePurged`] says it for all of them.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct ProjectPurged {
        pub workspace_id: WorkspaceId,
        pub project_id: ProjectId,
    }
    event!(ProjectPurged, "workspaces.project_purged.v1", subject: project_id, workspace: |e| Some(e.workspace_id));
}
