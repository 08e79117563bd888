//! Projects: make, list, change, archive, delete, restore.

use contracts::audit::{Action, Entry};
use contracts::workspaces::events;
use kernel::cursor::{Page, PageRequest};
use kernel::ids::{EntityId, ProjectId, WorkspaceId};
use kernel::roles::{Permission, Role};
use kernel::{Result, Timestamp};
use platform::Caller;
use platform::db::{Reply, Unit};
use platform::http::{Field, IfMatch};

use super::access::{AlsoDeleted, ProjectAccess, Scope, hide_deleted};
use super::entry;
use super::workspaces::{set, set_value};
use crate::WorkspacesService;
use crate::error::{ROLE_LOST, WorkspacesError};
use crate::model::{Fields, Project, ProjectMember, ProjectState};
use crate::store;
use crate::store::projects::Filter;
use crate::views::{ListedProjectView, ProjectView};

#[derive(Debug, Clone)]
pub(crate) struct CreateProject {
    pub workspace_id: WorkspaceId,
    pub key: String,
    pub name: String,
    pub description: Option<String>,
    pub private: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct UpdateProject {
    pub name: Field<String>,
    pub description: Field<String>,
    pub private: Field<bool>,
}

impl WorkspacesService {
    fn project_view(&self, project: &Project) -> ProjectView {
        ProjectView::new(project, self.config.restore_time())
    }

    /// The maker becomes owner of the project.
    pub(crate) async fn create_project(&self, caller: &Caller, command: CreateProject) -> Result<Reply<ProjectView>> {
        // An id in a body is checked like one in a path.
        let access = self.authorize(caller, Permission::ProjectCreate, command.workspace_id).await?;
        let mut fields = Fields::default();
        let project = Project {
            id: ProjectId::generate(&*self.toolkit.clock),
            workspace_id: access.workspace.id,
            key: fields.project_key("/key", &command.key),
            name: fields.name("/name", &command.name),
            description: command.description.as_deref().map(|text| fields.description("/description", text)),
            private: command.private,
            version: 1,
            created_by: access.member.user_id,
            created_at: caller.now,
            updated_at: caller.now,
            archived_at: None,
            deleted_at: None,
            deleted_by: None,
        };
        fields.finish()?;
        if store::projects::count(&self.db, &access.scope).await? >= i64::from(self.config.max_projects) {
            return Err(WorkspacesError::TooManyProjects.into());
        }
        let mut unit = Unit::new(caller);
        // A member removed at this moment must not leave a project role behind.
        store::members::require_role(
            &mut unit,
            &access.scope,
            access.member.user_id,
            Permission::ProjectCreate,
            Role::Viewer,
            ROLE_LOST,
        );
        store::projects::insert(&mut unit, &project);
        store::project_members::insert(
            &mut unit,
            &ProjectMember {
                project_id: project.id,
                user_id: access.member.user_id,
                workspace_id: project.workspace_id,
                role: Role::Owner,
                version: 1,
                created_at: caller.now,
                updated_at: caller.now,
            },
        );
        unit.emit(&events::ProjectCreated {
            workspace_id: project.workspace_id,
            project_id: project.id,
            key: project.key.clone(),
            name: project.name.clone(),
        });
        unit.record(
            project_entry(&project, Action::ProjectCreated)
                .with("key", &project.key)
                .with("private", project.private),
        );
        let _announcement = self.announce(project.workspace_id, None);
        let view = self.project_view(&project);
        Ok(self
            .db
            .apply_reply(unit, move |_| Ok(Reply::created(view, 1, format!("/v1/projects/{}", project.id))))
            .await?)
    }

    pub(crate) async fn list_projects(
        &self,
        caller: &Caller,
        workspace_id: Option<WorkspaceId>,
        state: Option<ProjectState>,
        text: Option<String>,
        page: PageRequest,
    ) -> Result<Page<ListedProjectView>> {
        let user_id = caller.user_id()?;
        if let Some(id) = workspace_id {
            // Another's workspace is 404 and not an empty list, as everywhere.
            self.authorize(caller, Permission::ProjectRead, id).await?;
        }
        let binding = format!(
            "projects|{}|{}|{}|{user_id}",
            workspace_id.map(|id| id.to_string()).unwrap_or_default(),
            state.map_or("", ProjectState::as_str),
            text.as_deref().unwrap_or_default()
        );
        let after = self.toolkit.cursors.start(page.cursor.as_deref(), &binding)?;
        let filter = Filter { workspace_id, state, text };
        let select = store::projects::visible(user_id, &filter, after, page.rows());
        let rows = store::projects::list(&self.db, select).await?;
        let page = self.toolkit.cursors.page(rows, page.limit, &binding, |row| row.project.id)?;
        Ok(page.map(|row| ListedProjectView {
            // The statement gives only rows with a role; the weakest is the safe answer should it ever not.
            role: row.role().unwrap_or(Role::Viewer),
            project: self.project_view(&row.project),
        }))
    }

    pub(crate) async fn get_project(&self, caller: &Caller, id: ProjectId) -> Result<Reply<ProjectView>> {
        let access = self.authorize(caller, Permission::ProjectRead, id).await?;
        Ok(Reply::ok(self.project_view(&access.project), access.project.version))
    }

    pub(crate) async fn update_project(
        &self,
        caller: &Caller,
        id: ProjectId,
        if_match: &IfMatch,
        command: UpdateProject,
    ) -> Result<Reply<ProjectView>> {
        let access = self.authorize(caller, Permission::ProjectUpdate, id).await?;
        if_match.check_or_require(access.project.version, access.workspace.strict_concurrency)?;
        let mut project = access.project.clone();
        let mut fields = Fields::default();
        set(&mut fields, "/name", command.name, &mut project.name, Fields::name);
        set_value(&mut fields, "/private", command.private, &mut project.private);
        if let Some(description) = command.description.into_option() {
            project.description = description.map(|text| fields.description("/description", &text));
        }
        fields.finish()?;
        let changed = changed_fields(&access.project, &project);
        if changed.is_empty() {
            return self.unchanged(caller, self.project_view(&project), project.version).await;
        }
        self.store_change(caller, &access, project, changed).await
    }

    /// An archived project can be read and searched, but its tasks do not change.
    pub(crate) async fn set_archived(
        &self,
        caller: &Caller,
        id: ProjectId,
        if_match: &IfMatch,
        archived: bool,
    ) -> Result<Reply<ProjectView>> {
        let access = self.authorize(caller, Permission::ProjectUpdate, id).await?;
        if_match.check_or_require(access.project.version, access.workspace.strict_concurrency)?;
        let mut project = access.project.clone();
        if project.archived_at.is_some() == archived {
            return self.unchanged(caller, self.project_view(&project), project.version).await;
        }
        project.archived_at = archived.then_some(caller.now);
        self.store_change(caller, &access, project, vec!["archived".to_owned()]).await
    }

    async fn store_change(
        &self,
        caller: &Caller,
        access: &ProjectAccess,
        mut project: Project,
        changed: Vec<String>,
    ) -> Result<Reply<ProjectView>> {
        project.version += 1;
        project.updated_at = caller.now;
        let mut unit = Unit::new(caller);
        store::projects::update(&mut unit, &access.scope, &project);
        unit.emit(&events::ProjectUpdated {
            workspace_id: project.workspace_id,
            project_id: project.id,
            key: project.key.clone(),
            name: project.name.clone(),
            archived: project.archived_at.is_some(),
            changed,
        });
        unit.record(updated(&access.project, &project));
        self.reply_project(unit, &project).await
    }

    async fn reply_project(&self, unit: Unit, project: &Project) -> Result<Reply<ProjectView>> {
        let _announcement = self.announce(project.workspace_id, None);
        let (view, version) = (self.project_view(project), project.version);
        Ok(self.db.apply_reply(unit, move |_| Ok(Reply::ok(view, version))).await?)
    }

    pub(crate) async fn delete_project(&self, caller: &Caller, id: ProjectId, if_match: &IfMatch) -> Result<()> {
        let access = self.authorize(caller, Permission::ProjectDelete, id).await?;
        if_match.check_or_require(access.project.version, access.workspace.strict_concurrency)?;
        let mut project = access.project;
        project.version += 1;
        project.updated_at = caller.now;
        project.deleted_at = Some(caller.now);
        project.deleted_by = caller.actor.user_id();
        let mut unit = Unit::new(caller);
        store::projects::update(&mut unit, &access.scope, &project);
        unit.emit(&events::ProjectDeleted {
            workspace_id: project.workspace_id,
            project_id: id,
        });
        unit.record(project_entry(&project, Action::ProjectDeleted));
        let _announcement = self.announce(project.workspace_id, None);
        self.db.apply(unit).await?;
        Ok(())
    }

    pub(crate) async fn restore_project(&self, caller: &Caller, id: ProjectId) -> Result<Reply<ProjectView>> {
        let access = self
            .authorize(caller, Permission::ProjectDelete, AlsoDeleted(id))
            .await
            .map_err(hide_deleted(WorkspacesError::ProjectNotFound))?;
        let mut project = access.project;
        let deleted_at = project.deleted_at.ok_or(WorkspacesError::ProjectNotDeleted)?;
        if caller.now >= deleted_at.plus(self.config.restore_time()) {
            return Err(WorkspacesError::RestoreTimeOver.into());
        }
        project.version += 1;
        project.updated_at = caller.now;
        project.deleted_at = None;
        project.deleted_by = None;
        let mut unit = Unit::new(caller);
        store::projects::update(&mut unit, &access.scope, &project);
        unit.emit(&events::ProjectRestored {
            workspace_id: project.workspace_id,
            project_id: id,
        });
        unit.record(project_entry(&project, Action::ProjectRestored));
        self.reply_project(unit, &project).await
    }

    /// Erases a deleted project before its time, and with it everything in it.
    pub(crate) async fn purge_project(&self, caller: &Caller, id: ProjectId, if_match: &IfMatch) -> Result<()> {
        let access = self
            .authorize(caller, Permission::TrashPurge, AlsoDeleted(id))
            .await
            .map_err(hide_deleted(WorkspacesError::ProjectNotFound))?;
        let deleted_at = access.project.deleted_at.ok_or(WorkspacesError::ProjectNotDeleted)?;
        if_match.check_or_require(access.project.version, access.workspace.strict_concurrency)?;
        let mut unit = Unit::new(caller);
        Self::purge_project_in(&mut unit, &access.scope, &access.project, deleted_at);
        let _announcement = self.announce(access.project.workspace_id, None);
        self.db.apply(unit).await?;
        Ok(())
    }

    /// Only a project that was deleted at or before `cutoff`; the unit fails as not found when it came back meanwhile.
    pub(crate) fn purge_project_in(unit: &mut Unit, scope: &Scope, project: &Project, cutoff: Timestamp) {
        store::projects::purge_deleted(unit, scope, project.id, cutoff);
        store::project_members::purge(unit, scope, &[project.id]);
        unit.emit(&events::ProjectPurged {
            workspace_id: project.workspace_id,
            project_id: project.id,
        });
        unit.record(project_entry(project, Action::ProjectPurged));
    }
}

pub(crate) fn project_entry(project: &Project, action: Action) -> Entry {
    entry(project.workspace_id, action, "project")
        .id(project.id)
        .name(project.name.as_str())
}

/// Settings before and after; of the description, which may be long, only that it changed.
fn updated(before: &Project, after: &Project) -> Entry {
    let action = match (before.archived_at, after.archived_at) {
        (None, Some(_)) => Action::ProjectArchived,
        (Some(_), None) => Action::ProjectUnarchived,
        _ => Action::ProjectUpdated,
    };
    let entry = project_entry(after, action)
        .change("name", &before.name, &after.name)
        .change("private", before.private, after.private);
    if before.description == after.description {
        entry
    } else {
        entry.changed("description")
    }
}

fn changed_fields(before: &Project, after: &Project) -> Vec<String> {
    [
        ("name", before.name != after.name),
        ("description", before.description != after.description),
        ("private", before.private != after.private),
    ]
    .into_iter()
    .filter(|(_, changed)| *changed)
    .map(|(name, _)| name.to_owned())
    .collect()
}
