//! Use cases: authorise, read, decide, build one unit. One file per aggregate.

pub(crate) mod acceptance;
pub(crate) mod access;
pub(crate) mod invitations;
pub(crate) mod members;
pub(crate) mod project_members;
pub(crate) mod projects;
pub(crate) mod takeout;
pub(crate) mod workspaces;

use std::collections::HashMap;

use contracts::audit::{Action, Entry, Log};
use contracts::identity::{GetUsers, UserSummary};
use kernel::Result;
use kernel::ids::{UserId, WorkspaceId};
use platform::Caller;

use crate::WorkspacesService;

/// For the audit log of the workspace.
pub(crate) fn entry(workspace_id: WorkspaceId, action: Action, kind: &str) -> Entry {
    Entry::new(Log::Workspace(workspace_id), action, kind)
}

impl WorkspacesService {
    /// Names for a page of people in one call.
    async fn people(&self, caller: &Caller, ids: Vec<UserId>) -> Result<HashMap<UserId, UserSummary>> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let users = self.identity.get_users(&caller.call(), GetUsers { ids }).await?;
        Ok(users.into_iter().map(|user| (user.id, user)).collect())
    }
}
