//! Use cases, one file per aggregate: authorise, read, decide, build one unit.

mod batch;
mod board;
mod comments;
mod decide;
mod draft;
mod export;
mod feeds;
mod import;
mod labels;
pub(crate) mod list;
mod recurrence;
mod refold;
mod relations;
mod settings;
mod states;
mod subtree;
pub(crate) mod takeout;
mod tasks;
mod trash;
mod views;

pub(crate) use batch::BatchView;
pub(crate) use draft::{Change, Draft, task_ref};

use std::sync::Arc;

use contracts::identity::Identity;
use contracts::workspaces::{GetMembership, GetProjectAccess, ListMembers, Membership, ProjectAccess, Workspaces};
use kernel::Result;
use kernel::ids::{ProjectId, TaskId, UserId, WorkspaceId};
use kernel::roles::Permission;
use platform::db::Db;
use platform::http::IfMatch;
use platform::{Caller, Toolkit};

use crate::Config;
use crate::error::TasksError;
use crate::model::Task;
use crate::store;

/// The tasks service. Its axum state is itself.
pub struct TasksService {
    pub(crate) db: Db,
    pub(crate) config: Config,
    pub(crate) toolkit: Toolkit,
    pub(crate) workspaces: Arc<dyn Workspaces>,
    pub(crate) identity: Arc<dyn Identity>,
}

impl TasksService {
    pub fn new(db: Db, config: Config, toolkit: Toolkit, workspaces: Arc<dyn Workspaces>, identity: Arc<dyn Identity>) -> Arc<Self> {
        Arc::new(Self {
            db,
            config,
            toolkit,
            workspaces,
            identity,
        })
    }

    /// The caller's standing in a project: 404 when the project is not theirs to see, 403 when the role is too low.
    pub(crate) async fn project(&self, caller: &Caller, project_id: ProjectId, permission: Permission) -> Result<ProjectAccess> {
        let access = self.find_project(caller, project_id).await?.ok_or(TasksError::ProjectNotFound)?;
        permit(&access, permission)?;
        Ok(access)
    }

    pub(crate) async fn find_project(&self, caller: &Caller, project_id: ProjectId) -> Result<Option<ProjectAccess>> {
        let request = GetProjectAccess {
            user_id: caller.user_id()?,
            project_id,
        };
        self.workspaces.get_project_access(&caller.call(), request).await
    }

    /// The caller's standing in a workspace: 404 for strangers, 403 when the role is too low.
    pub(crate) async fn membership(&self, caller: &Caller, workspace_id: WorkspaceId, permission: Permission) -> Result<Membership> {
        let request = GetMembership {
            user_id: caller.user_id()?,
            workspace_id,
        };
        let membership = self
            .workspaces
            .get_membership(&caller.call(), request)
            .await?
            .ok_or(TasksError::WorkspaceNotFound)?;
        if membership.permits(permission) {
            Ok(membership)
        } else {
            Err(TasksError::Forbidden.into())
        }
    }

    /// Everybody who can read a project.
    pub(crate) async fn readers(&self, caller: &Caller, access: &ProjectAccess) -> Result<Vec<UserId>> {
        let request = ListMembers {
            workspace_id: access.workspace_id,
            project_id: Some(access.project_id),
        };
        let members = self.workspaces.list_members(&caller.call(), request).await?;
        Ok(members.into_iter().map(|member| member.user_id).collect())
    }

    /// A live task with its links, and the caller's standing in its project.
    pub(crate) async fn task(&self, caller: &Caller, task_id: TaskId, permission: Permission) -> Result<(Task, ProjectAccess)> {
        let (task, access) = self.task_even_deleted(caller, task_id, permission).await?;
        if task.is_live() {
            Ok((task, access))
        } else {
            Err(TasksError::TaskNotFound.into())
        }
    }

    pub(crate) async fn task_even_deleted(
        &self,
        caller: &Caller,
        task_id: TaskId,
        permission: Permission,
    ) -> Result<(Task, ProjectAccess)> {
        let task = store::people::find_whole(&self.db, task_id)
            .await?
            .ok_or(TasksError::TaskNotFound)?;
        // Whoever cannot see the project must not learn that the task exists.
        let access = self.find_project(caller, task.project_id).await?.ok_or(TasksError::TaskNotFound)?;
        permit(&access, permission)?;
        Ok((task, access))
    }
}

pub(crate) fn permit(access: &ProjectAccess, permission: Permission) -> Result<()> {
    if access.role.permits(permission) {
        Ok(())
    } else {
        Err(TasksError::Forbidden.into())
    }
}

/// Tasks of an archived project can be read, not changed.
pub(crate) fn writable_project(access: &ProjectAccess) -> Result<()> {
    if access.archived {
        Err(TasksError::ProjectArchived.into())
    } else {
        Ok(())
    }
}

/// What every change of an existing task asks: project and task are not archived, the version is the expected one.
pub(crate) fn writable_task(task: &Task, access: &ProjectAccess, if_match: &IfMatch) -> Result<()> {
    writable_project(access)?;
    if_match.check_or_require(task.version, access.strict_concurrency)?;
    if task.archived_at.is_some() {
        return Err(TasksError::TaskArchived.into());
    }
    Ok(())
}
