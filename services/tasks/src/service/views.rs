//! Saved views. A personal one is its owner's alone; a shared one is seen by everybody who can read its project (or, of
//! none, the workspace) and changed by those who may share views there.

use contracts::workspaces::ProjectAccess;
use kernel::cursor::Page;
use kernel::ids::{EntityId, ProjectId, UserId, WorkspaceId};
use kernel::roles::Permission;
use kernel::{Error, FieldError, Result};
use platform::Caller;
use platform::db::{Reply, Unit};
use platform::http::{Field, IfMatch};

use super::TasksService;
use super::list::Shape;
use super::settings::settings_changed;
use crate::command::{CreateView, UpdateView};
use crate::error::TasksError;
use crate::model::saved::{MAX_NAME, MAX_PERSONAL, MAX_POSITION, MAX_QUERY, MAX_SHARED, SavedView, ViewId};
use crate::model::text;
use crate::query::parse_saved;
use crate::store;
use crate::view::{SavedViewList, SavedViewView, TaskItem, Visibility};

/// Distance between views, so that others fit in between.
const STEP: i32 = 1_000;
const MAX_LISTED: u64 = (MAX_SHARED + MAX_PERSONAL) as u64;

/// What the caller may do where a view belongs.
struct Place {
    may_share: bool,
    strict: bool,
}

impl From<&ProjectAccess> for Place {
    fn from(access: &ProjectAccess) -> Self {
        Self {
            may_share: access.role.permits(Permission::ViewShare),
            strict: access.strict_concurrency,
        }
    }
}

impl TasksService {
    /// The caller's own and the shared ones, in their order. With a project only those of the project.
    pub(crate) async fn list_views(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        project_id: Option<ProjectId>,
    ) -> Result<SavedViewList> {
        self.membership(caller, workspace_id, Permission::WorkspaceRead).await?;
        let mut views = store::views::list(&self.db, workspace_id, caller.user_id()?, MAX_LISTED).await?;
        if let Some(project_id) = project_id {
            views.retain(|view| view.project_id == Some(project_id));
        }
        if views.iter().any(|view| view.project_id.is_some()) {
            let readable = self.readable_projects(caller, Some(workspace_id)).await?;
            let is_readable = |id: ProjectId| readable.iter().any(|access| access.project_id == id);
            views.retain(|view| view.project_id.is_none_or(is_readable));
        }
        Ok(SavedViewList {
            items: views.into_iter().map(SavedViewView::from).collect(),
        })
    }

    pub(crate) async fn get_view(&self, caller: &Caller, workspace_id: WorkspaceId, view_id: ViewId) -> Result<SavedViewView> {
        Ok(self.saved_view(caller, workspace_id, view_id).await?.0.into())
    }

    /// The tasks a view shows to this caller now.
    pub(crate) async fn list_view_tasks(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        view_id: ViewId,
        shape: Shape,
    ) -> Result<Page<TaskItem>> {
        let (view, _) = self.saved_view(caller, workspace_id, view_id).await?;
        let mut criteria = parse_saved(&view.query).map_err(|_| TasksError::ViewUnreadable)?;
        match view.project_id {
            Some(project_id) => self.list_project_tasks(caller, project_id, criteria, shape).await,
            None => {
                criteria.workspace_id = Some(workspace_id);
                self.list_tasks(caller, criteria, shape).await
            }
        }
    }

    pub(crate) async fn create_view(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        command: CreateView,
    ) -> Result<Reply<SavedViewView>> {
        let user_id = caller.user_id()?;
        let mut place = self.workspace_place(caller, workspace_id).await?;
        let mut errors = Vec::new();
        if let Some(project_id) = command.project_id {
            match self.find_project(caller, project_id).await? {
                Some(access) if access.workspace_id == workspace_id => place = Place::from(&access),
                _ => errors.push(FieldError::new("/project_id", "not_found", "is no project of the workspace")),
            }
        }
        let shared = command.visibility == Some(Visibility::Shared);
        if shared && !place.may_share {
            return Err(TasksError::Forbidden.into());
        }
        let present = store::views::list(&self.db, workspace_id, user_id, MAX_LISTED).await?;
        let last = present.iter().map(|view| view.position).max().unwrap_or(0);
        let view = SavedView {
            id: ViewId::generate(&*self.toolkit.clock),
            workspace_id,
            project_id: command.project_id,
            owner_id: user_id,
            shared,
            name: text::line(&command.name, MAX_NAME, "/name", &mut errors),
            query: checked_query(&command.query, command.project_id, &mut errors),
            position: command.position.unwrap_or_else(|| (last + STEP).min(MAX_POSITION)),
            is_default: command.is_default.unwrap_or(false),
            version: 1,
            created_at: caller.now,
            updated_at: caller.now,
        };
        check_position(view.position, &mut errors);
        if !errors.is_empty() {
            return Err(Error::invalid(errors));
        }
        self.check_room(workspace_id, shared, user_id).await?;
        let mut unit = Unit::new(caller);
        if view.is_default {
            store::views::clear_default(&mut unit, &view, caller.now);
        }
        store::views::insert(&mut unit, &view);
        if view.shared {
            settings_changed(&mut unit, workspace_id, "views");
        }
        let location = format!("/v1/workspaces/{workspace_id}/views/{}", view.id);
        let shown = SavedViewView::from(view);
        Ok(self.db.apply_reply(unit, move |_| Ok(Reply::created(shown, 1, location))).await?)
    }

    pub(crate) async fn update_view(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        view_id: ViewId,
        if_match: &IfMatch,
        command: UpdateView,
    ) -> Result<Reply<SavedViewView>> {
        let (old, place) = self.view_to_change(caller, workspace_id, view_id, if_match).await?;
        let mut new = apply_patch(&old, command)?;
        if new.shared != old.shared {
            if new.shared && !place.may_share {
                return Err(TasksError::Forbidden.into());
            }
            // Somebody else's shared view would vanish from the hands of who makes it personal.
            if !new.shared && new.owner_id != caller.user_id()? {
                return Err(TasksError::NotViewOwner.into());
            }
            self.check_room(workspace_id, new.shared, new.owner_id).await?;
        }
        let mut unit = Unit::new(caller);
        if new != old {
            new.version = old.version + 1;
            new.updated_at = caller.now;
            if new.is_default && (!old.is_default || new.shared != old.shared) {
                store::views::clear_default(&mut unit, &new, caller.now);
            }
            store::views::update(&mut unit, &new, old.version);
            if old.shared || new.shared {
                settings_changed(&mut unit, workspace_id, "views");
            }
        }
        let version = new.version;
        Ok(self.db.apply_reply(unit, move |_| Ok(Reply::ok(new.into(), version))).await?)
    }

    pub(crate) async fn delete_view(&self, caller: &Caller, workspace_id: WorkspaceId, view_id: ViewId, if_match: &IfMatch) -> Result<()> {
        let (view, _) = self.view_to_change(caller, workspace_id, view_id, if_match).await?;
        let mut unit = Unit::new(caller);
        store::views::delete(&mut unit, &view);
        if view.shared {
            settings_changed(&mut unit, workspace_id, "views");
        }
        self.db.apply(unit).await?;
        Ok(())
    }

    async fn workspace_place(&self, caller: &Caller, workspace_id: WorkspaceId) -> Result<Place> {
        let membership = self.membership(caller, workspace_id, Permission::WorkspaceRead).await?;
        Ok(Place {
            may_share: membership.permits(Permission::ViewShare),
            strict: membership.strict_concurrency,
        })
    }

    /// A view the caller can see, and what the caller may do where it belongs. Others' personal views are as if there
    /// were none, and so are views of projects that the caller cannot read.
    async fn saved_view(&self, caller: &Caller, workspace_id: WorkspaceId, view_id: ViewId) -> Result<(SavedView, Place)> {
        let place = self.workspace_place(caller, workspace_id).await?;
        let view = store::views::find(&self.db, workspace_id, view_id)
            .await?
            .ok_or(TasksError::ViewNotFound)?;
        if !view.shared && view.owner_id != caller.user_id()? {
            return Err(TasksError::ViewNotFound.into());
        }
        let Some(project_id) = view.project_id else {
            return Ok((view, place));
        };
        let access = self.find_project(caller, project_id).await?.ok_or(TasksError::ViewNotFound)?;
        Ok((view, Place::from(&access)))
    }

    async fn view_to_change(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        view_id: ViewId,
        if_match: &IfMatch,
    ) -> Result<(SavedView, Place)> {
        let (view, place) = self.saved_view(caller, workspace_id, view_id).await?;
        if view.shared && !place.may_share {
            return Err(TasksError::Forbidden.into());
        }
        if_match.check_or_require(view.version, place.strict)?;
        Ok((view, place))
    }

    async fn check_room(&self, workspace_id: WorkspaceId, shared: bool, owner_id: UserId) -> Result<()> {
        let (of, most) = if shared {
            (None, MAX_SHARED)
        } else {
            (Some(owner_id), MAX_PERSONAL)
        };
        let present = store::views::count(&self.db, workspace_id, of).await?;
        if usize::try_from(present).unwrap_or(usize::MAX) >= most {
            return Err(TasksError::TooManyViews.into());
        }
        Ok(())
    }
}

fn apply_patch(old: &SavedView, command: UpdateView) -> Result<SavedView> {
    let mut errors = Vec::new();
    let mut new = old.clone();
    match command.name {
        Field::Absent => {}
        Field::Null => errors.push(FieldError::not_null("/name")),
        Field::Value(name) => new.name = text::line(&name, MAX_NAME, "/name", &mut errors),
    }
    match command.query {
        Field::Absent => {}
        Field::Null => errors.push(FieldError::not_null("/query")),
        Field::Value(query) => new.query = checked_query(&query, old.project_id, &mut errors),
    }
    match command.visibility {
        Field::Absent => {}
        Field::Null => errors.push(FieldError::not_null("/visibility")),
        Field::Value(visibility) => new.shared = visibility == Visibility::Shared,
    }
    match command.position {
        Field::Absent => {}
        Field::Null => errors.push(FieldError::not_null("/position")),
        Field::Value(position) => {
            check_position(position, &mut errors);
            new.position = position;
        }
    }
    match command.is_default {
        Field::Absent => {}
        Field::Null => errors.push(FieldError::not_null("/is_default")),
        Field::Value(is_default) => new.is_default = is_default,
    }
    if errors.is_empty() { Ok(new) } else { Err(Error::invalid(errors)) }
}

/// The query must be one that the list would accept now; what it names need not exist, as in the list.
pub(super) fn checked_query(query: &str, project_id: Option<ProjectId>, errors: &mut Vec<FieldError>) -> String {
    let query = query.trim().trim_start_matches('?');
    if query.chars().count() > MAX_QUERY {
        errors.push(FieldError::new(
            "/query",
            "too_long",
            format!("must be at most {MAX_QUERY} characters"),
        ));
        return String::new();
    }
    match parse_saved(query) {
        Ok(criteria) if project_id.is_some() && !criteria.project_ids.is_empty() => errors.push(FieldError::new(
            "/query",
            "invalid_query",
            "project_id: the view belongs to one project already",
        )),
        Ok(_) => {}
        Err(detail) => errors.push(FieldError::new("/query", "invalid_query", detail)),
    }
    query.to_owned()
}

fn check_position(position: i32, errors: &mut Vec<FieldError>) {
    if !(0..=MAX_POSITION).contains(&position) {
        let detail = format!("must be between 0 and {MAX_POSITION}");
        errors.push(FieldError::new("/position", "out_of_range", detail));
    }
}
