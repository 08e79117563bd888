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
use kernel::cursor::Page;
use kernel::ids::{UserId, WorkspaceId};
use platform::Caller;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::WorkspacesService;

/// For the audit log of the workspace.
pub(crate) fn entry(workspace_id: WorkspaceId, action: Action, kind: &str) -> Entry {
    Entry::new(Log::Workspace(workspace_id), action, kind)
}

/// Size and start of a page.
#[derive(Debug, Clone)]
pub(crate) struct PageRequest {
    pub limit: u32,
    pub cursor: Option<String>,
}

impl PageRequest {
    /// One more row than asked for tells whether a next page exists.
    pub fn rows(&self) -> u64 {
        u64::from(self.limit) + 1
    }
}

impl WorkspacesService {
    /// Where the page starts; 400 for a cursor of another list or person.
    fn open_cursor<T: DeserializeOwned>(&self, page: &PageRequest, binding: &str) -> Result<Option<T>> {
        page.cursor
            .as_deref()
            .map(|cursor| self.toolkit.cursors.open(cursor, binding))
            .transpose()
    }

    /// Cuts the one row too many and seals where the next page starts.
    fn page_of<R, P: Serialize>(&self, mut rows: Vec<R>, page: &PageRequest, binding: &str, position: impl Fn(&R) -> P) -> Result<Page<R>> {
        let limit = page.limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = match rows.last() {
            Some(last) if more => Some(self.toolkit.cursors.seal(&position(last), binding)?),
            _ => None,
        };
        Ok(Page {
            items: rows,
            next_cursor,
            total: None,
        })
    }

    /// Names for a page of people in one call.
    async fn people(&self, caller: &Caller, ids: Vec<UserId>) -> Result<HashMap<UserId, UserSummary>> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let users = self.identity.get_users(&caller.call(), GetUsers { ids }).await?;
        Ok(users.into_iter().map(|user| (user.id, user)).collect())
    }
}
