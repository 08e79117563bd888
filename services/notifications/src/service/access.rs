//! Who may still see what: asked of workspaces, at delivery and again at reading.

use std::collections::{BTreeSet, HashMap};

use contracts::workspaces::{GetMembership, GetProjectAccess, ListMembers, ListProjectAccess, ProjectAccess};
use kernel::ids::{ProjectId, UserId, WorkspaceId};
use kernel::{CallContext, Result};
use platform::Caller;

use crate::NotificationsService;
use crate::store::{self, inbox::Scope};

/// Up to here single questions (which workspaces caches) are cheaper than one long list.
const SINGLE_QUESTIONS: usize = 8;

impl NotificationsService {
    pub(crate) async fn can_read(&self, ctx: &CallContext, user_id: UserId, scope: Scope) -> Result<bool> {
        match scope.project_id {
            Some(project_id) => {
                let access = self
                    .workspaces
                    .get_project_access(ctx, GetProjectAccess { user_id, project_id })
                    .await?;
                Ok(access.is_some_and(|access| access.workspace_id == scope.workspace_id))
            }
            None => self.is_member(ctx, user_id, scope.workspace_id).await,
        }
    }

    pub(crate) async fn is_member(&self, ctx: &CallContext, user_id: UserId, workspace_id: WorkspaceId) -> Result<bool> {
        let request = GetMembership { user_id, workspace_id };
        Ok(self.workspaces.get_membership(ctx, request).await?.is_some())
    }

    /// Those of `users` who can read `scope` now.
    pub(crate) async fn readers(&self, ctx: &CallContext, users: &BTreeSet<UserId>, scope: Scope) -> Result<BTreeSet<UserId>> {
        if users.len() > SINGLE_QUESTIONS {
            let request = ListMembers {
                workspace_id: scope.workspace_id,
                project_id: scope.project_id,
            };
            let members = self.workspaces.list_members(ctx, request).await?;
            return Ok(members
                .iter()
                .map(|member| member.user_id)
                .filter(|user| users.contains(user))
                .collect());
        }
        let mut readers = BTreeSet::new();
        for user in users {
            if self.can_read(ctx, *user, scope).await? {
                readers.insert(*user);
            }
        }
        Ok(readers)
    }

    /// Those of `projects` that `user_id` can read.
    pub(crate) async fn readable_projects(
        &self,
        ctx: &CallContext,
        user_id: UserId,
        projects: BTreeSet<ProjectId>,
    ) -> Result<HashMap<ProjectId, ProjectAccess>> {
        if projects.len() > SINGLE_QUESTIONS {
            let request = ListProjectAccess {
                user_id,
                workspace_id: None,
            };
            let list = self.workspaces.list_project_access(ctx, request).await?.into_iter();
            return Ok(list
                .filter(|access| projects.contains(&access.project_id))
                .map(|access| (access.project_id, access))
                .collect());
        }
        let mut readable = HashMap::new();
        for project_id in projects {
            let request = GetProjectAccess { user_id, project_id };
            if let Some(access) = self.workspaces.get_project_access(ctx, request).await? {
                readable.insert(project_id, access);
            }
        }
        Ok(readable)
    }

    /// Parts of the caller's inbox they have lost access to.
    pub(crate) async fn hidden_scopes(&self, caller: &Caller, user_id: UserId) -> Result<Vec<Scope>> {
        let ctx = caller.call();
        let scopes = store::inbox::scopes(&self.db, user_id).await?;
        let projects = scopes.iter().filter_map(|scope| scope.project_id).collect();
        let readable = self.readable_projects(&ctx, user_id, projects).await?;
        let mut hidden = Vec::new();
        for scope in scopes {
            let visible = match scope.project_id {
                Some(project) => readable
                    .get(&project)
                    .is_some_and(|access| access.workspace_id == scope.workspace_id),
                None => self.is_member(&ctx, user_id, scope.workspace_id).await?,
            };
            if !visible {
                hidden.push(scope);
            }
        }
        Ok(hidden)
    }
}
