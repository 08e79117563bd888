//! People in a workspace: list, roles, removal, leaving, transfer of ownership.

use contracts::audit::Action;
use contracts::workspaces::events;
use kernel::cursor::{Page, PageRequest};
use kernel::ids::{UserId, WorkspaceId};
use kernel::roles::{Permission, Role, SalesRole};
use kernel::{Error, Result, Timestamp};
use platform::Caller;
use platform::db::{Guard, Reply, Unit};
use platform::http::{Field, IfMatch};

use super::access::{Scope, WorkspaceAccess};
use super::entry;
use crate::WorkspacesService;
use crate::error::{LAST_OWNER, ROLE_LOST, WORKSPACE_GONE, WorkspacesError};
use crate::model::{Member, Standing, Workspace};
use crate::store;
use crate::store::workspaces::Headcount;
use crate::views::{ListedMemberView, MemberView, WorkspaceView};

#[derive(Debug, Clone, Default)]
pub(crate) struct UpdateMember {
    pub role: Option<Role>,
    pub sales_role: Field<SalesRole>,
}

#[derive(Debug, Clone)]
pub(crate) struct TransferOwnership {
    pub user_id: UserId,
    /// What the old owner becomes.
    pub own_role: Role,
}

impl WorkspacesService {
    pub(crate) async fn list_members_page(
        &self,
        caller: &Caller,
        id: WorkspaceId,
        role: Option<Role>,
        page: PageRequest,
    ) -> Result<Page<ListedMemberView>> {
        let access = self.authorize(caller, Permission::MemberList, id).await?;
        let binding = format!("members|{id}|{}|{}", role.map_or("", Role::as_str), access.member.user_id);
        let after: Option<(i64, UserId)> = self.toolkit.cursors.start(page.cursor.as_deref(), &binding)?;
        let after = after.map(|(joined, user_id)| (Timestamp::from_micros(joined), user_id));
        let select = store::members::page(&access.scope, role, after, page.rows());
        let rows = store::members::list(&self.db, select).await?;
        let page = self
            .toolkit
            .cursors
            .page(rows, page.limit, &binding, |row| (row.created_at.as_micros(), row.user_id))?;
        let mut people = self.people(caller, page.items.iter().map(|row| row.user_id).collect()).await?;
        Ok(page.map(|row| ListedMemberView {
            person: people.remove(&row.user_id).map(Into::into),
            member: (&row).into(),
        }))
    }

    pub(crate) async fn get_member(&self, caller: &Caller, id: WorkspaceId, user_id: UserId) -> Result<Reply<MemberView>> {
        let access = self.authorize(caller, Permission::MemberList, id).await?;
        let member = self.member_of(&access.scope, user_id).await?;
        Ok(Reply::ok((&member).into(), member.version))
    }

    pub(super) async fn member_of(&self, scope: &Scope, user_id: UserId) -> Result<Member> {
        let member = store::members::find(&self.db, scope, user_id).await?;
        Ok(member.ok_or(WorkspacesError::MemberNotFound)?)
    }

    pub(crate) async fn update_member(
        &self,
        caller: &Caller,
        id: WorkspaceId,
        user_id: UserId,
        if_match: &IfMatch,
        command: UpdateMember,
    ) -> Result<Reply<MemberView>> {
        let access = self.authorize(caller, Permission::MemberUpdate, id).await?;
        let member = self.member_of(&access.scope, user_id).await?;
        if_match.check_or_require(member.version, true)?;
        let standing = Standing {
            role: command.role.unwrap_or(member.role),
            sales_role: command.sales_role.into_option().unwrap_or(member.sales_role),
        };
        if !access.standing().may_grant(standing) || !access.standing().may_grant(member.standing()) {
            return Err(WorkspacesError::AboveOwnRole.into());
        }
        if standing == member.standing() {
            return self.unchanged(caller, (&member).into(), member.version).await;
        }
        let mut unit = Unit::new(caller);
        change_owners(&mut unit, &access.scope, owner_change(&member, standing));
        if user_id != access.member.user_id {
            store::members::require_role(
                &mut unit,
                &access.scope,
                access.member.user_id,
                Permission::MemberUpdate,
                standing.role,
                ROLE_LOST,
            );
        }
        change_standing(&mut unit, &access.scope, &access.workspace, &member, standing, caller.now);
        let _announcement = self.announce(id, Some(user_id));
        let view = MemberView {
            role: standing.role,
            sales_role: standing.sales_role,
            updated_at: caller.now,
            ..(&member).into()
        };
        Ok(self.db.apply_reply(unit, move |_| Ok(Reply::ok(view, member.version + 1))).await?)
    }

    /// Removes somebody; of oneself it is the same as leaving.
    pub(crate) async fn remove_member(&self, caller: &Caller, id: WorkspaceId, user_id: UserId, if_match: &IfMatch) -> Result<()> {
        let own = caller.user_id()? == user_id;
        let permission = if own { Permission::WorkspaceRead } else { Permission::MemberRemove };
        let access = self.authorize(caller, permission, id).await?;
        let member = self.member_of(&access.scope, user_id).await?;
        if_match.check_or_require(member.version, true)?;
        if !own && !access.standing().may_grant(member.standing()) {
            return Err(WorkspacesError::AboveOwnRole.into());
        }
        let mut unit = Unit::new(caller);
        remove(&mut unit, &access.scope, &member, own);
        if !own {
            store::members::require_role(
                &mut unit,
                &access.scope,
                access.member.user_id,
                Permission::MemberRemove,
                member.role,
                ROLE_LOST,
            );
        }
        let _announcement = self.announce(id, Some(user_id));
        self.db.apply(unit).await?;
        Ok(())
    }

    pub(crate) async fn leave_workspace(&self, caller: &Caller, id: WorkspaceId) -> Result<Reply<MemberView>> {
        let access = self.authorize(caller, Permission::WorkspaceRead, id).await?;
        let mut unit = Unit::new(caller);
        remove(&mut unit, &access.scope, &access.member, true);
        let _announcement = self.announce(id, Some(access.member.user_id));
        let view = MemberView {
            updated_at: caller.now,
            ..(&access.member).into()
        };
        Ok(self.db.apply_reply(unit, move |_| Ok(Reply::plain(view))).await?)
    }

    /// Makes another member owner and gives up one's own ownership, in one unit: there is no moment without an owner
    /// and none with a change half done.
    pub(crate) async fn transfer_ownership(
        &self,
        caller: &Caller,
        id: WorkspaceId,
        if_match: &IfMatch,
        command: TransferOwnership,
    ) -> Result<Reply<WorkspaceView>> {
        let access = self.authorize(caller, Permission::WorkspaceTransfer, id).await?;
        if_match.check_or_require(access.workspace.version, true)?;
        let heir = self.transfer_target(&access, command.user_id).await?;
        let (given, kept) = (
            Standing {
                role: Role::Owner,
                sales_role: heir.sales_role,
            },
            Standing {
                role: command.own_role,
                sales_role: access.member.sales_role,
            },
        );
        let mut unit = Unit::new(caller);
        // Roles leave the version of the workspace as it is, so what `If-Match` named is asked for once more at commit.
        store::workspaces::require_version(&mut unit, &access.scope, access.workspace.version, Guard::VERSION);
        change_owners(
            &mut unit,
            &access.scope,
            owner_change(&heir, given) + owner_change(&access.member, kept),
        );
        for (member, standing) in [(&heir, given), (&access.member, kept)] {
            if member.standing() == standing {
                // Still checked, so that an owner who was demoted meanwhile does not count as the new one.
                store::members::require_role(
                    &mut unit,
                    &access.scope,
                    member.user_id,
                    Permission::WorkspaceTransfer,
                    standing.role,
                    Guard::VERSION,
                );
            } else {
                change_standing(&mut unit, &access.scope, &access.workspace, member, standing, caller.now);
            }
        }
        unit.record(
            entry(id, Action::OwnershipTransferred, "workspace")
                .id(id)
                .name(access.workspace.name.as_str())
                .change("owner", access.member.user_id, heir.user_id),
        );
        let _announcement = self.announce(id, None);
        self.reply_workspace(unit, &access.workspace).await
    }

    async fn transfer_target(&self, access: &WorkspaceAccess, user_id: UserId) -> Result<Member> {
        if user_id == access.member.user_id {
            return Err(Error::invalid_field("/user_id", "self", "must be another member"));
        }
        store::members::find(&self.db, &access.scope, user_id)
            .await?
            .ok_or_else(|| Error::invalid_field("/user_id", "not_a_member", "must be a member of the workspace"))
    }
}

/// +1, 0 or -1 owners.
pub(crate) fn owner_change(member: &Member, standing: Standing) -> i64 {
    i64::from(standing.role == Role::Owner) - i64::from(member.is_owner())
}

/// First in the unit: it takes the row lock of the workspace.
pub(crate) fn change_owners(unit: &mut Unit, scope: &Scope, owners: i64) {
    let guard = if owners < 0 { LAST_OWNER } else { WORKSPACE_GONE };
    if owners != 0 {
        store::workspaces::change_headcount(
            unit,
            scope,
            Headcount {
                owners,
                ..Headcount::default()
            },
            guard,
        );
    }
}

pub(crate) fn change_standing(unit: &mut Unit, scope: &Scope, workspace: &Workspace, member: &Member, standing: Standing, now: Timestamp) {
    tracing::info!(workspace = %workspace.id, member = %member.user_id, from = %member.role, to = %standing.role, "role changes");
    store::members::set_standing(unit, scope, member, standing, now);
    unit.emit(&events::RoleChanged {
        workspace_id: workspace.id,
        workspace_name: workspace.name.clone(),
        project_id: None,
        project_name: None,
        user_id: member.user_id,
        old_role: Some(member.role),
        new_role: Some(standing.role),
        old_sales_role: member.sales_role,
        new_sales_role: standing.sales_role,
    });
    unit.record(
        entry(workspace.id, Action::MemberRoleChanged, "member")
            .id(member.user_id)
            .change("role", member.role, standing.role)
            .change("sales_role", member.sales_role, standing.sales_role),
    );
}

/// The person, all their project roles, and the fact.
fn remove(unit: &mut Unit, scope: &Scope, member: &Member, left: bool) {
    remove_from(unit, scope, member, left, false);
}

/// `deleted`: from a workspace that lies deleted.
pub(crate) fn remove_from(unit: &mut Unit, scope: &Scope, member: &Member, left: bool, deleted: bool) {
    tracing::info!(workspace = %member.workspace_id, member = %member.user_id, left, "member goes");
    let owners = -i64::from(member.is_owner());
    let guard = if member.is_owner() { LAST_OWNER } else { WORKSPACE_GONE };
    store::workspaces::change_headcount(
        unit,
        scope,
        Headcount {
            members: -1,
            owners,
            deleted,
            ..Headcount::default()
        },
        guard,
    );
    store::members::delete(unit, scope, member, Guard::VERSION);
    store::project_members::delete_of_user(unit, scope, member.user_id);
    unit.emit(&events::MemberRemoved {
        workspace_id: member.workspace_id,
        user_id: member.user_id,
        left,
    });
    let action = if left { Action::MemberLeft } else { Action::MemberRemoved };
    unit.record(
        entry(member.workspace_id, action, "member")
            .id(member.user_id)
            .change("role", Some(member.role), None),
    );
}
