//! Facts from elsewhere, and our own that must also reach caches after a crash between commit and signal.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::identity::SoleOwnedWorkspaces;
use contracts::identity::events::UserDeactivated;
use contracts::workspaces::events::{MemberAdded, MemberRemoved, RoleChanged, WorkspaceDeleted, WorkspaceRestored};
use contracts::{Envelope, EventPayload};
use kernel::roles::Role;
use kernel::{Error, Result, Timestamp};
use platform::db::{Db, Unit};
use platform::events::Consumer;
use platform::signals::Signal;

use crate::WorkspacesService;
use crate::model::{Member, Standing, workspace::heir};
use crate::service::access::Scope;
use crate::service::members::{change_owners, change_standing, owner_change, remove_from};
use crate::store;

/// More memberships than a person can plausibly have; the rest would keep a role that no session can use.
const MAX_MEMBERSHIPS: u64 = 10_000;

/// A deleted account leaves its workspaces. A workspace never stays without an owner: the highest, then
/// longest-standing of the others becomes owner, unless the person chose to delete such workspaces; where nobody else
/// is, the workspace is deleted (and purged after its time). People are asked before they delete their account; this
/// also holds for what changed since they answered. A disabled or locked account keeps its roles: it can come back, and no session of it lives meanwhile.
pub(crate) struct AccountConsumer {
    service: Arc<WorkspacesService>,
}

impl AccountConsumer {
    pub fn new(service: Arc<WorkspacesService>) -> Self {
        Self { service }
    }

    async fn leave(&self, member: &Member, chosen: SoleOwnedWorkspaces, now: Timestamp, unit: &mut Unit) -> Result<()> {
        let scope = Scope::for_system(member.workspace_id);
        let db = &self.service.db;
        let Some(workspace) = store::workspaces::find(db, member.workspace_id).await? else {
            return Ok(());
        };
        let deleted = workspace.deleted_at.is_some();
        if member.is_owner() && workspace.owner_count == 1 {
            if deleted {
                // Nobody is left who could restore it; the purge takes this row with the rest.
                return Ok(());
            }
            let others = match chosen {
                SoleOwnedWorkspaces::Delete => Vec::new(),
                SoleOwnedWorkspaces::Transfer => {
                    let limit = u64::from(self.service.config.max_members);
                    store::members::list(db, store::members::page(&scope, None, None, limit)).await?
                }
            };
            let Some(heir) = heir(&others, member.user_id) else {
                WorkspacesService::delete_workspace_in(unit, &scope, workspace, now);
                return Ok(());
            };
            let standing = Standing {
                role: Role::Owner,
                sales_role: heir.sales_role,
            };
            change_owners(unit, &scope, owner_change(heir, standing));
            change_standing(unit, &scope, &workspace, heir, standing, now);
        }
        remove_from(unit, &scope, member, true, deleted);
        Ok(())
    }
}

#[async_trait]
impl Consumer for AccountConsumer {
    fn name(&self) -> &'static str {
        "workspaces.accounts"
    }
    fn event_types(&self) -> &'static [&'static str] {
        &[UserDeactivated::TYPE]
    }
    fn db(&self) -> &Db {
        &self.service.db
    }
    async fn handle(&self, event: &Envelope, unit: &mut Unit) -> Result<()> {
        let Some(payload) = event.payload::<UserDeactivated>() else {
            return Ok(());
        };
        let payload = payload.map_err(Error::internal)?;
        if !payload.deleted {
            return Ok(());
        }
        let now = self.service.toolkit.clock.now();
        let chosen = payload.sole_owned_workspaces.unwrap_or(SoleOwnedWorkspaces::Transfer);
        for member in store::members::list_of_user(&self.service.db, payload.user_id, MAX_MEMBERSHIPS).await? {
            self.leave(&member, chosen, now, unit).await?;
        }
        Ok(())
    }
}

/// Sends the signals of a change once more when its event comes round. A request that was abandoned, or a process that
/// died, between commit and signal would otherwise leave caches to their time to live; and the events of
/// [`AccountConsumer`] have no other sender.
pub(crate) struct SignalConsumer {
    service: Arc<WorkspacesService>,
}

impl SignalConsumer {
    pub fn new(service: Arc<WorkspacesService>) -> Self {
        Self { service }
    }
}

#[async_trait]
impl Consumer for SignalConsumer {
    fn name(&self) -> &'static str {
        "workspaces.signals"
    }
    fn event_types(&self) -> &'static [&'static str] {
        &[
            MemberAdded::TYPE,
            MemberRemoved::TYPE,
            RoleChanged::TYPE,
            WorkspaceDeleted::TYPE,
            WorkspaceRestored::TYPE,
        ]
    }
    fn db(&self) -> &Db {
        &self.service.db
    }
    async fn handle(&self, event: &Envelope, _: &mut Unit) -> Result<()> {
        if let Some(workspace_id) = event.workspaceid {
            self.service.toolkit.signals.publish(Signal::MembershipChanged {
                workspace_id,
                user_id: None,
            });
        }
        Ok(())
    }
}
