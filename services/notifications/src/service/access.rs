//! Who may still see what: asked of workspaces, at delivery and again at reading.

use std::collections::{BTreeSet, HashSet};

use contracts::workspaces::{GetMembership, GetProjectAccess, ListMembers, ListProjectAccess};
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

    /// Parts of the caller's inbox they have lost access to.
    pub(crate) async fn hidden_scopes(&self, caller: &Caller, user_id: UserId) -> Result<Vec<Scope>> {
        let ctx = caller.call();
        let scopes = store::inbox::scopes(&self.db, user_id).await?;
        let projects = scopes.iter().filter(|scope| scope.project_id.is_some()).count();
        let readable: Option<HashSet<ProjectId>> = if projects > SINGLE_QUESTIONS {
            let request = ListProjectAccess {
                user_id,
                workspace_id: None,
            };
            let list = self.workspaces.list_project_access(&ctx, request).await?;
            Some(list.into_iter().map(|access| access.project_id).collect())
        } else {
            None
        };
        let mut hidden = Vec::new();
        for scope in scopes {
            let visible = match (scope.project_id, &readable) {
                (Some(project), Some(readable)) => readable.contains(&project),
                _ => self.can_read(&ctx, user_id, scope).await?,
            };
            if !visible {
                hidden.push(scope);
            }
        }
        Ok(hidden)
    }
}
