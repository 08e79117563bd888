//! Workspaces: make, list, change, delete, restore.

use contracts::audit::{Action, Entry};
use contracts::workspaces::events;
use kernel::Result;
use kernel::cursor::{Page, PageRequest};
use kernel::ids::{EntityId, WorkspaceId};
use kernel::roles::{Permission, Role, SalesRole};
use platform::Caller;
use platform::db::{Reply, Unit};
use platform::http::{Field, IfMatch};

use super::access::{AlsoDeleted, Scope, hide_deleted};
use super::entry;
use crate::WorkspacesService;
use crate::error::WorkspacesError;
use crate::model::{Fields, Member, Workspace, workspace::slug_from};
use crate::store;
use crate::store::workspaces::WorkspaceMember;
use crate::views::{OwnWorkspaceView, WorkspaceView};

#[derive(Debug, Clone)]
pub(crate) struct CreateWorkspace {
    pub name: String,
    pub slug: Option<String>,
    pub description: Option<String>,
    pub time_zone: Option<String>,
    pub strict_concurrency: bool,
    pub default_role: Option<Role>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct UpdateWorkspace {
    pub name: Field<String>,
    pub slug: Field<String>,
    pub description: Field<String>,
    pub time_zone: Field<String>,
    pub strict_concurrency: Field<bool>,
    pub default_role: Field<Role>,
}

/// Attempts to find a free slug for a generated one; each adds 32 random bits.
const SLUG_ATTEMPTS: usize = 5;

impl WorkspacesService {
    pub(crate) fn workspace_view(&self, workspace: &Workspace) -> WorkspaceView {
        WorkspaceView::new(workspace, self.config.restore_time())
    }

    /// The maker becomes owner and sales admin, so that both role systems have somebody to start from.
    pub(crate) async fn create_workspace(&self, caller: &Caller, command: CreateWorkspace) -> Result<Reply<WorkspaceView>> {
        let user_id = caller.user_id()?;
        let mut fields = Fields::default();
        let name = fields.name("/name", &command.name);
        let slug = command.slug.as_deref().map(|slug| fields.slug("/slug", slug));
        let description = command.description.as_deref().map(|text| fields.description("/description", text));
        let time_zone = command.time_zone.as_deref().map(|zone| fields.time_zone("/time_zone", zone));
        let default_role = command.default_role.map(|role| fields.default_role("/settings/default_role", role));
        fields.finish()?;
        let made = store::workspaces::count_created_by(&self.db, user_id).await?;
        if made >= i64::from(self.config.max_workspaces_per_person) {
            return Err(WorkspacesError::TooManyWorkspaces.into());
        }
        let workspace = Workspace {
            id: WorkspaceId::generate(&*self.toolkit.clock),
            slug: slug.clone().unwrap_or_default(),
            name,
            description,
            time_zone: time_zone.unwrap_or_else(|| "UTC".to_owned()),
            strict_concurrency: command.strict_concurrency,
            default_role: default_role.unwrap_or(Role::Collaborator),
            owner_count: 1,
            member_count: 1,
            version: 1,
            created_by: user_id,
            created_at: caller.now,
            updated_at: caller.now,
            deleted_at: None,
        };
        match slug {
            Some(_) => self.store_new(caller, workspace).await,
            None => self.store_with_free_slug(caller, workspace).await,
        }
    }

    /// Two people can generate the same slug at once; the second then tries another instead of failing.
    async fn store_with_free_slug(&self, caller: &Caller, mut workspace: Workspace) -> Result<Reply<WorkspaceView>> {
        let base = slug_from(&workspace.name);
        workspace.slug.clone_from(&base);
        if store::workspaces::slug_taken(&self.db, &base).await? {
            workspace.slug = with_suffix(&base);
        }
        for _ in 1..SLUG_ATTEMPTS {
            match self.store_new(caller, workspace.clone()).await {
                Err(error) if error.code == "workspaces.workspace.slug_taken" => workspace.slug = with_suffix(&base),
                done => return done,
            }
        }
        self.store_new(caller, workspace).await
    }

    async fn store_new(&self, caller: &Caller, workspace: Workspace) -> Result<Reply<WorkspaceView>> {
        let mut unit = Unit::new(caller);
        store::workspaces::insert(&mut unit, &workspace);
        store::members::insert(
            &mut unit,
            &Member {
                workspace_id: workspace.id,
                user_id: workspace.created_by,
                role: Role::Owner,
                sales_role: Some(SalesRole::Admin),
                version: 1,
                invited_by: None,
                created_at: caller.now,
                updated_at: caller.now,
            },
        );
        unit.emit(&events::WorkspaceCreated {
            workspace_id: workspace.id,
            name: workspace.name.clone(),
            slug: workspace.slug.clone(),
            owner_id: workspace.created_by,
        });
        unit.emit(&events::MemberAdded {
            workspace_id: workspace.id,
            workspace_name: workspace.name.clone(),
            user_id: workspace.created_by,
            role: Role::Owner,
            sales_role: Some(SalesRole::Admin),
        });
        unit.record(
            entry(workspace.id, Action::WorkspaceCreated, "workspace")
                .id(workspace.id)
                .name(workspace.name.as_str()),
        );
        let _announcement = self.announce(workspace.id, Some(workspace.created_by));
        let view = self.workspace_view(&workspace);
        let reply = self
            .db
            .apply_reply(unit, move |_| {
                Ok(Reply::created(view, 1, format!("/v1/workspaces/{}", workspace.id)))
            })
            .await?;
        Ok(reply)
    }

    pub(crate) async fn list_workspaces(&self, caller: &Caller, deleted: bool, page: PageRequest) -> Result<Page<OwnWorkspaceView>> {
        let user_id = caller.user_id()?;
        let binding = format!("workspaces|{deleted}|{user_id}");
        let after = self.toolkit.cursors.start(page.cursor.as_deref(), &binding)?;
        let select = store::workspaces::of_person(user_id, deleted, after, page.rows());
        let rows = store::workspaces::list_of_person(&self.db, select).await?;
        let page = self.toolkit.cursors.page(rows, page.limit, &binding, |row| row.workspace.id)?;
        Ok(page.map(|WorkspaceMember { workspace, member }| OwnWorkspaceView {
            workspace: self.workspace_view(&workspace),
            role: member.role,
            sales_role: member.sales_role,
        }))
    }

    pub(crate) async fn get_workspace(&self, caller: &Caller, id: WorkspaceId) -> Result<Reply<WorkspaceView>> {
        let access = self.authorize(caller, Permission::WorkspaceRead, id).await?;
        Ok(Reply::ok(self.workspace_view(&access.workspace), access.workspace.version))
    }

    pub(crate) async fn update_workspace(
        &self,
        caller: &Caller,
        id: WorkspaceId,
        if_match: &IfMatch,
        command: UpdateWorkspace,
    ) -> Result<Reply<WorkspaceView>> {
        let access = self.authorize(caller, Permission::WorkspaceUpdate, id).await?;
        if_match.check_or_require(access.workspace.version, true)?;
        let mut workspace = access.workspace.clone();
        let changed = apply_update(&mut workspace, command)?;
        if changed.is_empty() {
            return self.unchanged(caller, self.workspace_view(&workspace), workspace.version).await;
        }
        workspace.version += 1;
        workspace.updated_at = caller.now;
        let mut unit = Unit::new(caller);
        store::workspaces::update(&mut unit, &access.scope, &workspace);
        unit.emit(&events::WorkspaceUpdated {
            workspace_id: id,
            name: workspace.name.clone(),
            slug: workspace.slug.clone(),
            changed,
        });
        unit.record(updated(&access.workspace, &workspace));
        // Memberships carry the time zone and the strict mode.
        let _announcement = self.announce(id, None);
        self.reply_workspace(unit, &workspace).await
    }

    /// Everybody loses access at once; an owner can restore it for a time.
    pub(crate) async fn delete_workspace(&self, caller: &Caller, id: WorkspaceId, if_match: &IfMatch) -> Result<()> {
        let access = self.authorize(caller, Permission::WorkspaceDelete, id).await?;
        if_match.check_or_require(access.workspace.version, access.workspace.strict_concurrency)?;
        let mut unit = Unit::new(caller);
        Self::delete_workspace_in(&mut unit, &access.scope, access.workspace, caller.now);
        let _announcement = self.announce(id, None);
        self.db.apply(unit).await?;
        Ok(())
    }

    pub(crate) fn delete_workspace_in(unit: &mut Unit, scope: &Scope, mut workspace: Workspace, now: kernel::Timestamp) {
        workspace.version += 1;
        workspace.updated_at = now;
        workspace.deleted_at = Some(now);
        store::workspaces::update(unit, scope, &workspace);
        unit.emit(&events::WorkspaceDeleted {
            workspace_id: workspace.id,
        });
        unit.record(
            entry(workspace.id, Action::WorkspaceDeleted, "workspace")
                .id(workspace.id)
                .name(workspace.name),
        );
    }

    pub(crate) async fn restore_workspace(&self, caller: &Caller, id: WorkspaceId) -> Result<Reply<WorkspaceView>> {
        let access = self
            .authorize(caller, Permission::WorkspaceDelete, AlsoDeleted(id))
            .await
            .map_err(hide_deleted(WorkspacesError::WorkspaceNotFound))?;
        let mut workspace = access.workspace;
        let deleted_at = workspace.deleted_at.ok_or(WorkspacesError::WorkspaceNotDeleted)?;
        if caller.now >= deleted_at.plus(self.config.restore_time()) {
            return Err(WorkspacesError::RestoreTimeOver.into());
        }
        workspace.version += 1;
        workspace.updated_at = caller.now;
        workspace.deleted_at = None;
        let mut unit = Unit::new(caller);
        store::workspaces::update(&mut unit, &access.scope, &workspace);
        unit.emit(&events::WorkspaceRestored { workspace_id: id });
        unit.record(
            entry(id, Action::WorkspaceRestored, "workspace")
                .id(id)
                .name(workspace.name.as_str()),
        );
        let _announcement = self.announce(id, None);
        self.reply_workspace(unit, &workspace).await
    }

    pub(super) async fn reply_workspace(&self, unit: Unit, workspace: &Workspace) -> Result<Reply<WorkspaceView>> {
        let (view, version) = (self.workspace_view(workspace), workspace.version);
        Ok(self.db.apply_reply(unit, move |_| Ok(Reply::ok(view, version))).await?)
    }

    /// Nothing to write, but a request with an `Idempotency-Key` still stores its reply.
    pub(super) async fn unchanged<T>(&self, caller: &Caller, view: T, version: i64) -> Result<Reply<T>>
    where
        T: serde::Serialize + Send + 'static,
    {
        if caller.idempotency.is_none() {
            return Ok(Reply::ok(view, version));
        }
        Ok(self
            .db
            .apply_reply(Unit::new(caller), move |_| Ok(Reply::ok(view, version)))
            .await?)
    }
}

/// Settings before and after; of the description, which may be long, only that it changed.
fn updated(before: &Workspace, after: &Workspace) -> Entry {
    let entry = entry(after.id, Action::WorkspaceUpdated, "workspace")
        .id(after.id)
        .name(after.name.as_str())
        .change("name", &before.name, &after.name)
        .change("slug", &before.slug, &after.slug)
        .change("time_zone", &before.time_zone, &after.time_zone)
        .change("settings.strict_concurrency", before.strict_concurrency, after.strict_concurrency)
        .change("settings.default_role", before.default_role, after.default_role);
    if before.description == after.description {
        entry
    } else {
        entry.changed("description")
    }
}

fn with_suffix(base: &str) -> String {
    format!("{base}-{:08x}", rand::random::<u32>())
}

/// Names of the fields that changed.
fn apply_update(workspace: &mut Workspace, command: UpdateWorkspace) -> Result<Vec<String>> {
    let before = workspace.clone();
    let mut fields = Fields::default();
    set(&mut fields, "/name", command.name, &mut workspace.name, Fields::name);
    set(&mut fields, "/slug", command.slug, &mut workspace.slug, Fields::slug);
    set(
        &mut fields,
        "/time_zone",
        command.time_zone,
        &mut workspace.time_zone,
        Fields::time_zone,
    );
    set_value(
        &mut fields,
        "/settings/strict_concurrency",
        command.strict_concurrency,
        &mut workspace.strict_concurrency,
    );
    if let Field::Value(role) = &command.default_role {
        fields.default_role("/settings/default_role", *role);
    }
    set_value(
        &mut fields,
        "/settings/default_role",
        command.default_role,
        &mut workspace.default_role,
    );
    if let Some(description) = command.description.into_option() {
        workspace.description = description.map(|text| fields.description("/description", &text));
    }
    fields.finish()?;
    let changed = [
        ("name", before.name != workspace.name),
        ("slug", before.slug != workspace.slug),
        ("description", before.description != workspace.description),
        ("time_zone", before.time_zone != workspace.time_zone),
        (
            "settings.strict_concurrency",
            before.strict_concurrency != workspace.strict_concurrency,
        ),
        ("settings.default_role", before.default_role != workspace.default_role),
    ];
    Ok(changed
        .into_iter()
        .filter(|(_, changed)| *changed)
        .map(|(name, _)| name.to_owned())
        .collect())
}

/// A text that can be changed but not cleared.
pub(super) fn set(
    fields: &mut Fields,
    pointer: &str,
    field: Field<String>,
    target: &mut String,
    check: fn(&mut Fields, &str, &str) -> String,
) {
    match field {
        Field::Absent => {}
        Field::Null => fields.push(kernel::FieldError::not_null(pointer)),
        Field::Value(text) => *target = check(fields, pointer, &text),
    }
}

/// A value that can be changed but not cleared.
pub(super) fn set_value<T>(fields: &mut Fields, pointer: &str, field: Field<T>, target: &mut T) {
    match field {
        Field::Absent => {}
        Field::Null => fields.push(kernel::FieldError::not_null(pointer)),
        Field::Value(value) => *target = value,
    }
}
