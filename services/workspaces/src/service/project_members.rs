//! Roles of their own that people have in a project.

use contracts::audit::Action;
use contracts::workspaces::events::RoleChanged;
use kernel::Result;
use kernel::cursor::{Page, PageRequest};
use kernel::ids::{ProjectId, UserId, WorkspaceId};
use kernel::roles::{Permission, Role};
use platform::Caller;
use platform::db::{Guard, Reply, Unit};
use platform::http::IfMatch;

use super::access::{ProjectAccess, Scope};
use super::entry;
use crate::WorkspacesService;
use crate::error::{MEMBER_GONE, WorkspacesError};
use crate::model::ProjectMember;
use crate::store;
use crate::views::{ListedProjectMemberView, ProjectMemberView};

impl WorkspacesService {
    pub(crate) async fn list_project_members(
        &self,
        caller: &Caller,
        id: ProjectId,
        page: PageRequest,
    ) -> Result<Page<ListedProjectMemberView>> {
        let access = self.authorize(caller, Permission::ProjectRead, id).await?;
        let binding = format!("project-members|{id}|{}", access.member.user_id);
        let after = self.toolkit.cursors.start(page.cursor.as_deref(), &binding)?;
        let rows = store::project_members::list(&self.db, &access.scope, id, after, page.rows()).await?;
        let page = self.toolkit.cursors.page(rows, page.limit, &binding, |row| row.user_id)?;
        let mut people = self.people(caller, page.items.iter().map(|row| row.user_id).collect()).await?;
        Ok(page.map(|row| ListedProjectMemberView {
            person: people.remove(&row.user_id).map(Into::into),
            member: (&row).into(),
        }))
    }

    /// Of every project of a workspace.
    pub(crate) async fn list_all_project_members(
        &self,
        caller: &Caller,
        id: WorkspaceId,
        page: PageRequest,
    ) -> Result<Page<ProjectMemberView>> {
        let access = self.authorize(caller, Permission::WorkspaceExport, id).await?;
        let binding = format!("all-project-members|{id}|{}", access.member.user_id);
        let after = self.toolkit.cursors.start(page.cursor.as_deref(), &binding)?;
        let rows = store::project_members::list_all(&self.db, &access.scope, after, page.rows()).await?;
        let page = self
            .toolkit
            .cursors
            .page(rows, page.limit, &binding, |row| (row.user_id, row.project_id))?;
        Ok(page.map(|row| (&row).into()))
    }

    pub(crate) async fn get_project_member(&self, caller: &Caller, id: ProjectId, user_id: UserId) -> Result<Reply<ProjectMemberView>> {
        let access = self.authorize(caller, Permission::ProjectRead, id).await?;
        let member = self.project_member_of(&access.scope, id, user_id).await?;
        Ok(Reply::ok((&member).into(), member.version))
    }

    async fn project_member_of(&self, scope: &Scope, id: ProjectId, user_id: UserId) -> Result<ProjectMember> {
        let member = store::project_members::find(&self.db, scope, id, user_id).await?;
        Ok(member.ok_or(WorkspacesError::MemberNotFound)?)
    }

    /// Gives a member of the workspace a role in the project. `create`: also somebody who has none yet. A role that is
    /// there changes only with `If-Match`.
    pub(crate) async fn set_project_role(
        &self,
        caller: &Caller,
        id: ProjectId,
        user_id: UserId,
        if_match: &IfMatch,
        role: Role,
        create: bool,
    ) -> Result<Reply<ProjectMemberView>> {
        let access = self.authorize(caller, Permission::ProjectMemberManage, id).await?;
        let member = store::members::find(&self.db, &access.scope, user_id)
            .await?
            .ok_or(WorkspacesError::MemberNotFound)?;
        let current = store::project_members::find(&self.db, &access.scope, id, user_id).await?;
        if role > access.role || current.as_ref().is_some_and(|current| current.role > access.role) {
            return Err(WorkspacesError::AboveOwnRole.into());
        }
        match current {
            None if !create => Err(WorkspacesError::MemberNotFound.into()),
            None => {
                if_match.check_absent()?;
                let new = ProjectMember {
                    project_id: id,
                    user_id: member.user_id,
                    workspace_id: access.workspace.id,
                    role,
                    version: 1,
                    created_at: caller.now,
                    updated_at: caller.now,
                };
                self.add_project_member(caller, &access, new).await
            }
            Some(current) if current.role == role => {
                if_match.check(current.version)?;
                self.unchanged(caller, (&current).into(), current.version).await
            }
            Some(current) => {
                if_match.check_or_require(current.version, true)?;
                let mut unit = Unit::new(caller);
                store::project_members::set_role(&mut unit, &access.scope, &current, role, caller.now);
                role_changed(&mut unit, &access, user_id, Some(current.role), Some(role));
                let _announcement = self.announce(access.workspace.id, Some(user_id));
                let view = ProjectMemberView {
                    role,
                    updated_at: caller.now,
                    ..(&current).into()
                };
                Ok(self.db.apply_reply(unit, move |_| Ok(Reply::ok(view, current.version + 1))).await?)
            }
        }
    }

    async fn add_project_member(&self, caller: &Caller, access: &ProjectAccess, new: ProjectMember) -> Result<Reply<ProjectMemberView>> {
        let mut unit = Unit::new(caller);
        // Whoever leaves the workspace at this moment must not keep a role in the project.
        unit.require(store::members::of_user(&access.scope, new.user_id), MEMBER_GONE);
        store::project_members::insert(&mut unit, &new);
        role_changed(&mut unit, access, new.user_id, None, Some(new.role));
        let _announcement = self.announce(access.workspace.id, Some(new.user_id));
        let view = ProjectMemberView::from(&new);
        let location = format!("/v1/projects/{}/members/{}", new.project_id, new.user_id);
        let applied = self.db.apply_reply(unit, move |_| Ok(Reply::created(view, 1, location))).await;
        // Two at once: the second read an older state, and learns it as any other lost update.
        applied.map_err(|error| {
            if error.is_unique() {
                platform::db::DbError::Guard(Guard::VERSION).into()
            } else {
                error.into()
            }
        })
    }

    /// Takes the role in the project away; the role in the workspace counts again. One's own anybody may give up.
    pub(crate) async fn remove_project_member(&self, caller: &Caller, id: ProjectId, user_id: UserId, if_match: &IfMatch) -> Result<()> {
        let own = caller.user_id()? == user_id;
        let permission = if own {
            Permission::ProjectRead
        } else {
            Permission::ProjectMemberManage
        };
        let access = self.authorize(caller, permission, id).await?;
        let current = self.project_member_of(&access.scope, id, user_id).await?;
        if_match.check_or_require(current.version, true)?;
        // Without the narrower role the wider one of the workspace would count: that is for a project owner to decide.
        if own && access.role < Role::Owner && access.member.role > current.role {
            return Err(WorkspacesError::RoleTooLow.into());
        }
        if !own && current.role > access.role {
            return Err(WorkspacesError::AboveOwnRole.into());
        }
        let mut unit = Unit::new(caller);
        store::project_members::delete(&mut unit, &access.scope, &current);
        role_changed(&mut unit, &access, user_id, Some(current.role), None);
        let _announcement = self.announce(access.workspace.id, Some(user_id));
        self.db.apply(unit).await?;
        Ok(())
    }
}

fn role_changed(unit: &mut Unit, access: &ProjectAccess, user_id: UserId, old_role: Option<Role>, new_role: Option<Role>) {
    tracing::info!(project = %access.project.id, member = %user_id, from = ?old_role, to = ?new_role, "project role changes");
    unit.emit(&RoleChanged {
        workspace_id: access.workspace.id,
        workspace_name: access.workspace.name.clone(),
        project_id: Some(access.project.id),
        project_name: Some(access.project.name.clone()),
        user_id,
        old_role,
        new_role,
        old_sales_role: None,
        new_sales_role: None,
    });
    let action = match (old_role, new_role) {
        (None, _) => Action::ProjectMemberAdded,
        (_, None) => Action::ProjectMemberRemoved,
        _ => Action::ProjectMemberRoleChanged,
    };
    unit.record(
        entry(access.workspace.id, action, "project_member")
            .id(user_id)
            .with("project_id", access.project.id)
            .with("project_name", &access.project.name)
            .change("role", old_role, new_role),
    );
}
