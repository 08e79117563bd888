//! What callers see. One struct per thing, made from the model.

use contracts::identity::UserSummary;
use kernel::Timestamp;
use kernel::ids::{InvitationId, ProjectId, UserId, WorkspaceId};
use kernel::roles::{Role, SalesRole};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{Invitation, InvitationState, Member, Project, ProjectMember, ProjectState, Workspace};

/// Switches of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct WorkspaceSettings {
    /// Every change in the workspace demands `If-Match`.
    pub strict_concurrency: bool,
    /// Role of invitations that name none; never `owner`.
    pub default_role: Role,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct WorkspaceView {
    pub id: WorkspaceId,
    #[schema(example = "Acme")]
    pub name: String,
    #[schema(example = "acme")]
    pub slug: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[schema(example = "Europe/Berlin")]
    pub time_zone: String,
    pub settings: WorkspaceSettings,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// Until then a deleted workspace can be restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purge_at: Option<Timestamp>,
}

impl WorkspaceView {
    pub fn new(workspace: &Workspace, restore_time: std::time::Duration) -> Self {
        Self {
            id: workspace.id,
            name: workspace.name.clone(),
            slug: workspace.slug.clone(),
            description: workspace.description.clone(),
            time_zone: workspace.time_zone.clone(),
            settings: WorkspaceSettings {
                strict_concurrency: workspace.strict_concurrency,
                default_role: workspace.default_role,
            },
            created_by: workspace.created_by,
            created_at: workspace.created_at,
            updated_at: workspace.updated_at,
            deleted_at: workspace.deleted_at,
            purge_at: workspace.deleted_at.map(|at| at.plus(restore_time)),
        }
    }
}

/// A workspace in the list of one's own. The role stands here and not in the workspace itself, whose `ETag` does not
/// change with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct OwnWorkspaceView {
    #[serde(flatten)]
    pub workspace: WorkspaceView,
    /// The caller's role.
    pub role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sales_role: Option<SalesRole>,
}

/// A person in a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct MemberView {
    pub workspace_id: WorkspaceId,
    pub user_id: UserId,
    pub role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sales_role: Option<SalesRole>,
    pub joined_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invited_by: Option<UserId>,
}

impl From<&Member> for MemberView {
    fn from(member: &Member) -> Self {
        Self {
            workspace_id: member.workspace_id,
            user_id: member.user_id,
            role: member.role,
            sales_role: member.sales_role,
            joined_at: member.created_at,
            updated_at: member.updated_at,
            invited_by: member.invited_by,
        }
    }
}

/// Name and address of a person, as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct PersonView {
    #[schema(example = "Ada Lovelace")]
    pub name: String,
    #[schema(example = "ada@example.com")]
    pub email: String,
    /// False while the account is disabled, locked or deleted.
    pub active: bool,
}

impl From<UserSummary> for PersonView {
    fn from(user: UserSummary) -> Self {
        Self {
            name: user.name,
            email: user.email,
            active: user.active,
        }
    }
}

/// A member in the list of members. The person's name is looked up and not part of the member's `ETag`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ListedMemberView {
    #[serde(flatten)]
    pub member: MemberView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonView>,
}

/// State of an invitation as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InvitationStateView {
    Pending,
    Accepted,
    Declined,
    Revoked,
    Expired,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct InvitationView {
    pub id: InvitationId,
    pub workspace_id: WorkspaceId,
    pub state: InvitationStateView,
    /// Absent for a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ada@example.com")]
    pub email: Option<String>,
    pub role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sales_role: Option<SalesRole>,
    /// Ends with the first person who accepts.
    pub single_use: bool,
    /// People who came through it.
    pub uses: i64,
    pub invited_by: UserId,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl InvitationView {
    pub fn new(invitation: &Invitation, now: Timestamp) -> Self {
        Self {
            id: invitation.id,
            workspace_id: invitation.workspace_id,
            state: match invitation.state {
                InvitationState::Pending if invitation.is_open(now) => InvitationStateView::Pending,
                InvitationState::Pending => InvitationStateView::Expired,
                InvitationState::Accepted => InvitationStateView::Accepted,
                InvitationState::Declined => InvitationStateView::Declined,
                InvitationState::Revoked => InvitationStateView::Revoked,
            },
            email: invitation.email.clone(),
            role: invitation.role,
            sales_role: invitation.sales_role,
            single_use: invitation.single_use,
            uses: invitation.uses,
            invited_by: invitation.invited_by,
            expires_at: invitation.expires_at,
            created_at: invitation.created_at,
            updated_at: invitation.updated_at,
        }
    }
}

/// A new invitation. A link is shown here and never again; the token of an invitation by e-mail is in the mail alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct IssuedInvitationView {
    #[serde(flatten)]
    pub invitation: InvitationView,
    /// Not in the replay of an `Idempotency-Key`: the token is not stored. Ask for a new link then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// What the holder of a token may know before they decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct InvitationPreview {
    #[schema(example = "Acme")]
    pub workspace_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Grace Hopper")]
    pub invited_by: Option<String>,
    /// The address it was made for; absent for a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    pub role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sales_role: Option<SalesRole>,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProjectStateView {
    Active,
    Archived,
    Deleted,
}

impl From<ProjectStateView> for ProjectState {
    fn from(state: ProjectStateView) -> Self {
        match state {
            ProjectStateView::Active => Self::Active,
            ProjectStateView::Archived => Self::Archived,
            ProjectStateView::Deleted => Self::Deleted,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ProjectView {
    pub id: ProjectId,
    pub workspace_id: WorkspaceId,
    #[schema(example = "ABC")]
    pub key: String,
    #[schema(example = "Apollo")]
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Only its own members and the owners of the workspace see it.
    pub private: bool,
    pub state: ProjectStateView,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// Until then a deleted project can be restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purge_at: Option<Timestamp>,
}

impl ProjectView {
    pub fn new(project: &Project, restore_time: std::time::Duration) -> Self {
        Self {
            id: project.id,
            workspace_id: project.workspace_id,
            key: project.key.clone(),
            name: project.name.clone(),
            description: project.description.clone(),
            private: project.private,
            state: match (project.deleted_at, project.archived_at) {
                (Some(_), _) => ProjectStateView::Deleted,
                (None, Some(_)) => ProjectStateView::Archived,
                (None, None) => ProjectStateView::Active,
            },
            created_by: project.created_by,
            created_at: project.created_at,
            updated_at: project.updated_at,
            archived_at: project.archived_at,
            deleted_at: project.deleted_at,
            purge_at: project.deleted_at.map(|at| at.plus(restore_time)),
        }
    }
}

/// A project in a list, with the role that counts for the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ListedProjectView {
    #[serde(flatten)]
    pub project: ProjectView,
    /// The caller's effective role in the project.
    pub role: Role,
}

/// A person with a role of their own in a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ProjectMemberView {
    pub project_id: ProjectId,
    pub user_id: UserId,
    pub role: Role,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl From<&ProjectMember> for ProjectMemberView {
    fn from(member: &ProjectMember) -> Self {
        Self {
            project_id: member.project_id,
            user_id: member.user_id,
            role: member.role,
            created_at: member.created_at,
            updated_at: member.updated_at,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ListedProjectMemberView {
    #[serde(flatten)]
    pub member: ProjectMemberView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonView>,
}
