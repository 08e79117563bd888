//! The one question "may they?", and the proof of its answer.

use kernel::ids::{ProjectId, UserId, WorkspaceId};
use kernel::roles::{Permission, Role};
use kernel::{Error, ErrorKind, Result};
use platform::Caller;
use platform::db::{Db, DbError};

use crate::WorkspacesService;
use crate::error::WorkspacesError;
use crate::model::{Invitation, Member, Project, Standing, Workspace};
use crate::store;

/// The right to touch the rows of one workspace. Store functions ask for it, and only this module makes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    workspace_id: WorkspaceId,
}

impl Scope {
    pub fn workspace_id(&self) -> WorkspaceId {
        self.workspace_id
    }
    /// For sweeps, consumers and calls of other services, which ask for no person.
    pub fn for_system(workspace_id: WorkspaceId) -> Self {
        Self { workspace_id }
    }
    /// Whoever holds the token of an invitation may see and use that one invitation.
    pub fn of_invitation(invitation: &Invitation) -> Self {
        Self {
            workspace_id: invitation.workspace_id,
        }
    }
}

/// Something that belongs to a workspace and that a person may or may not touch.
pub(crate) trait Resource {
    type Access: Access;
    /// `None`: there is none, or the person must not know of it.
    async fn load(self, db: &Db, user_id: UserId) -> Result<Option<Self::Access>, DbError>;
    fn not_found() -> WorkspacesError;
}

pub(crate) trait Access {
    fn permits(&self, permission: Permission) -> bool;
}

/// A deleted workspace or project next to live ones: only restoring asks for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AlsoDeleted<T>(pub T);

#[derive(Debug, Clone)]
pub(crate) struct WorkspaceAccess {
    pub scope: Scope,
    pub workspace: Workspace,
    pub member: Member,
}

impl WorkspaceAccess {
    pub fn standing(&self) -> Standing {
        self.member.standing()
    }
}

impl Access for WorkspaceAccess {
    fn permits(&self, permission: Permission) -> bool {
        self.standing().permits(permission)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct ProjectAccess {
    pub scope: Scope,
    pub project: Project,
    pub workspace: Workspace,
    pub member: Member,
    /// The role that counts in the project.
    pub role: Role,
}

impl Access for ProjectAccess {
    fn permits(&self, permission: Permission) -> bool {
        self.role.permits(permission)
    }
}

impl Resource for AlsoDeleted<WorkspaceId> {
    type Access = WorkspaceAccess;
    async fn load(self, db: &Db, user_id: UserId) -> Result<Option<WorkspaceAccess>, DbError> {
        let found = store::workspaces::find_with_member(db, self.0, user_id).await?;
        Ok(found.map(|row| WorkspaceAccess {
            scope: Scope {
                workspace_id: row.workspace.id,
            },
            workspace: row.workspace,
            member: row.member,
        }))
    }
    fn not_found() -> WorkspacesError {
        WorkspacesError::WorkspaceNotFound
    }
}

impl Resource for WorkspaceId {
    type Access = WorkspaceAccess;
    async fn load(self, db: &Db, user_id: UserId) -> Result<Option<WorkspaceAccess>, DbError> {
        let found = AlsoDeleted(self).load(db, user_id).await?;
        Ok(found.filter(|access| access.workspace.deleted_at.is_none()))
    }
    fn not_found() -> WorkspacesError {
        WorkspacesError::WorkspaceNotFound
    }
}

impl Resource for AlsoDeleted<ProjectId> {
    type Access = ProjectAccess;
    async fn load(self, db: &Db, user_id: UserId) -> Result<Option<ProjectAccess>, DbError> {
        let found = store::projects::find_with_standing(db, self.0, user_id).await?;
        Ok(found.and_then(|row| {
            Some(ProjectAccess {
                scope: Scope {
                    workspace_id: row.workspace.id,
                },
                // No effective role: the project is private and not theirs, so it does not exist for them.
                role: row.role()?,
                project: row.project,
                workspace: row.workspace,
                member: row.member,
            })
        }))
    }
    fn not_found() -> WorkspacesError {
        WorkspacesError::ProjectNotFound
    }
}

impl Resource for ProjectId {
    type Access = ProjectAccess;
    async fn load(self, db: &Db, user_id: UserId) -> Result<Option<ProjectAccess>, DbError> {
        let found = AlsoDeleted(self).load(db, user_id).await?;
        Ok(found.filter(|access| access.project.deleted_at.is_none()))
    }
    fn not_found() -> WorkspacesError {
        WorkspacesError::ProjectNotFound
    }
}

impl WorkspacesService {
    /// Deny by default: 404 for what the person must not know of, 403 for what their role does not allow. Reads the
    /// database each time, so that a role taken away is gone with the next command.
    pub(crate) async fn authorize<R: Resource>(&self, caller: &Caller, permission: Permission, resource: R) -> Result<R::Access> {
        let user_id = caller.user_id()?;
        let access = resource.load(&self.db, user_id).await?.ok_or(R::not_found())?;
        if access.permits(permission) {
            Ok(access)
        } else {
            tracing::info!(user = %user_id, %permission, "denied");
            Err(WorkspacesError::RoleTooLow.into())
        }
    }
}

/// A low role must not learn from 403 that something they can no longer see lies deleted.
pub(super) fn hide_deleted(not_found: WorkspacesError) -> impl FnOnce(Error) -> Error {
    move |error| {
        if error.kind == ErrorKind::Forbidden {
            not_found.into()
        } else {
            error
        }
    }
}
