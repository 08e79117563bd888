//! Workflow states of a workspace: the columns of its boards.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use kernel::ids::WorkspaceId;
use platform::Caller;
use platform::db::Reply;
use platform::http::{Body, IfMatch, Patch, Path, Problem};

use crate::TasksService;
use crate::command::{CreateState, UpdateState};
use crate::model::StateId;
use crate::view::{StateList, StateView};

type Service = State<Arc<TasksService>>;

/// List the states of a workspace
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/states", tag = "task-settings", operation_id = "listStates",
    params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 200, description = "The states", body = StateList), (status = 404, description = "No such workspace, or no access")))]
pub(super) async fn list_states(
    State(service): Service,
    caller: Caller,
    Path(workspace_id): Path<WorkspaceId>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Reply::plain(service.list_states(&caller, workspace_id).await?))
}

/// Create a state
///
/// Its meaning (`status`) is fixed from then on.
#[utoipa::path(post, path = "/v1/workspaces/{workspace_id}/states", tag = "task-settings", operation_id = "createState",
    params(("workspace_id" = WorkspaceId, Path)), request_body = CreateState,
    responses(
        (status = 201, description = "The new state", body = StateView),
        (status = 404, description = "No such workspace, or no access"),
        (status = 409, description = "The name is taken, or the workspace has too many")))]
pub(super) async fn create_state(
    State(service): Service,
    caller: Caller,
    Path(workspace_id): Path<WorkspaceId>,
    Body(command): Body<CreateState>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.create_state(&caller, workspace_id, command).await?)
}

/// Read a state
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/states/{state_id}", tag = "task-settings", operation_id = "getState",
    params(("workspace_id" = WorkspaceId, Path), ("state_id" = StateId, Path)),
    responses((status = 200, description = "The state", body = StateView), (status = 404, description = "No such state, or no access")))]
pub(super) async fn get_state(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, state_id)): Path<(WorkspaceId, StateId)>,
) -> Result<impl IntoResponse, Problem> {
    let view = service.get_state(&caller, workspace_id, state_id).await?;
    let version = view.version;
    Ok(Reply::ok(view, version))
}

/// Change a state
#[utoipa::path(patch, path = "/v1/workspaces/{workspace_id}/states/{state_id}", tag = "task-settings", operation_id = "updateState",
    params(("workspace_id" = WorkspaceId, Path), ("state_id" = StateId, Path)),
    request_body(content((UpdateState = "application/merge-patch+json"), (UpdateState = "application/json"))),
    responses(
        (status = 200, description = "The state as it is now", body = StateView),
        (status = 404, description = "No such state, or no access"),
        (status = 409, description = "The name is taken"),
        (status = 412, description = "`If-Match` does not name the current version"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn update_state(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, state_id)): Path<(WorkspaceId, StateId)>,
    if_match: IfMatch,
    Patch(command): Patch<UpdateState>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.update_state(&caller, workspace_id, state_id, &if_match, command).await?)
}

/// Delete a state
///
/// Not while tasks (archived and deleted ones too) are in it, not the default, and not the last open or done one.
#[utoipa::path(delete, path = "/v1/workspaces/{workspace_id}/states/{state_id}", tag = "task-settings", operation_id = "deleteState",
    params(("workspace_id" = WorkspaceId, Path), ("state_id" = StateId, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "No such state, or no access"),
        (status = 409, description = "Tasks are in it, it is the default, or it is the last of its kind"),
        (status = 412, description = "`If-Match` does not name the current version"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn delete_state(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, state_id)): Path<(WorkspaceId, StateId)>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    service.delete_state(&caller, workspace_id, state_id, &if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}
