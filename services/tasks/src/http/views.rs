//! Saved views.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use kernel::cursor::Page;
use kernel::ids::WorkspaceId;
use platform::Caller;
use platform::db::Reply;
use platform::http::{Body, IfMatch, Patch, Path, Problem, Query};

use crate::TasksService;
use crate::command::{CreateView, UpdateView};
use crate::model::saved::ViewId;
use crate::query::{ShapeQuery, ViewsQuery};
use crate::view::{SavedViewList, SavedViewView, TaskItem};

type Service = State<Arc<TasksService>>;

/// List the saved views of a workspace
///
/// One's own and the shared ones, in their order; of projects that the caller can read.
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/views", tag = "views", operation_id = "listViews",
    params(("workspace_id" = WorkspaceId, Path), ViewsQuery),
    responses((status = 200, description = "The views", body = SavedViewList), (status = 404, description = "No such workspace, or no access")))]
pub(super) async fn list_views(
    State(service): Service,
    caller: Caller,
    Path(workspace_id): Path<WorkspaceId>,
    Query(query): Query<ViewsQuery>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Reply::plain(service.list_views(&caller, workspace_id, query.project_id).await?))
}

/// Save a view
///
/// Every member may keep personal views; sharing one needs a collaborator.
#[utoipa::path(post, path = "/v1/workspaces/{workspace_id}/views", tag = "views", operation_id = "createView",
    params(("workspace_id" = WorkspaceId, Path)), request_body = CreateView,
    responses(
        (status = 201, description = "The new view", body = SavedViewView),
        (status = 404, description = "No such workspace, or no access"),
        (status = 409, description = "There are too many views")))]
pub(super) async fn create_view(
    State(service): Service,
    caller: Caller,
    Path(workspace_id): Path<WorkspaceId>,
    Body(command): Body<CreateView>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.create_view(&caller, workspace_id, command).await?)
}

/// Read a saved view
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/views/{view_id}", tag = "views", operation_id = "getView",
    params(("workspace_id" = WorkspaceId, Path), ("view_id" = ViewId, Path)),
    responses((status = 200, description = "The view", body = SavedViewView), (status = 404, description = "No such view, or no access")))]
pub(super) async fn get_view(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, view_id)): Path<(WorkspaceId, ViewId)>,
) -> Result<impl IntoResponse, Problem> {
    let view = service.get_view(&caller, workspace_id, view_id).await?;
    let version = view.version;
    Ok(Reply::ok(view, version))
}

/// Change a saved view
///
/// A personal one its owner, a shared one whoever may share views. Only its owner makes a shared view personal.
#[utoipa::path(patch, path = "/v1/workspaces/{workspace_id}/views/{view_id}", tag = "views", operation_id = "updateView",
    params(("workspace_id" = WorkspaceId, Path), ("view_id" = ViewId, Path)),
    request_body(content((UpdateView = "application/merge-patch+json"), (UpdateView = "application/json"))),
    responses(
        (status = 200, description = "The view as it is now", body = SavedViewView),
        (status = 404, description = "No such view, or no access"),
        (status = 409, description = "There are too many views"),
        (status = 412, description = "`If-Match` does not name the current version"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn update_view(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, view_id)): Path<(WorkspaceId, ViewId)>,
    if_match: IfMatch,
    Patch(command): Patch<UpdateView>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.update_view(&caller, workspace_id, view_id, &if_match, command).await?)
}

/// Delete a saved view
#[utoipa::path(delete, path = "/v1/workspaces/{workspace_id}/views/{view_id}", tag = "views", operation_id = "deleteView",
    params(("workspace_id" = WorkspaceId, Path), ("view_id" = ViewId, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "No such view, or no access"),
        (status = 412, description = "`If-Match` does not name the current version"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn delete_view(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, view_id)): Path<(WorkspaceId, ViewId)>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    service.delete_view(&caller, workspace_id, view_id, &if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the tasks of a saved view
///
/// The list with the filters and the sort of the view, as the caller may see it: `me` is the caller.
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/views/{view_id}/tasks", tag = "views", operation_id = "listViewTasks",
    params(("workspace_id" = WorkspaceId, Path), ("view_id" = ViewId, Path), ShapeQuery),
    responses(
        (status = 200, description = "A page of tasks", body = Page<TaskItem>),
        (status = 404, description = "No such view, or no access"),
        (status = 409, description = "The saved query is of an older version and cannot be read any more")))]
pub(super) async fn list_view_tasks(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, view_id)): Path<(WorkspaceId, ViewId)>,
    Query(query): Query<ShapeQuery>,
) -> Result<impl IntoResponse, Problem> {
    let page = service.list_view_tasks(&caller, workspace_id, view_id, query.shape()?).await?;
    Ok(Reply::plain(page))
}
