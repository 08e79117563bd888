//! Labels of a workspace.

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
use crate::command::{CreateLabel, UpdateLabel};
use crate::model::LabelId;
use crate::query::LabelsQuery;
use crate::view::LabelView;

type Service = State<Arc<TasksService>>;

/// List the labels of a workspace
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/labels", tag = "task-settings", operation_id = "listLabels",
    params(("workspace_id" = WorkspaceId, Path), LabelsQuery),
    responses((status = 200, description = "The labels", body = Page<LabelView>), (status = 404, description = "No such workspace, or no access")))]
pub(super) async fn list_labels(
    State(service): Service,
    caller: Caller,
    Path(workspace_id): Path<WorkspaceId>,
    Query(query): Query<LabelsQuery>,
) -> Result<impl IntoResponse, Problem> {
    let limit = query.limit()?;
    let total = query.include_total.unwrap_or(false);
    let page = service
        .list_labels(&caller, workspace_id, query.cursor.as_deref(), limit, total)
        .await?;
    Ok(Reply::plain(page))
}

/// Create a label
///
/// Names are unique in the workspace, whatever the case of their letters.
#[utoipa::path(post, path = "/v1/workspaces/{workspace_id}/labels", tag = "task-settings", operation_id = "createLabel",
    params(("workspace_id" = WorkspaceId, Path)), request_body = CreateLabel,
    responses(
        (status = 201, description = "The new label", body = LabelView),
        (status = 404, description = "No such workspace, or no access"),
        (status = 409, description = "The name is taken, or the workspace has too many")))]
pub(super) async fn create_label(
    State(service): Service,
    caller: Caller,
    Path(workspace_id): Path<WorkspaceId>,
    Body(command): Body<CreateLabel>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.create_label(&caller, workspace_id, command).await?)
}

/// Read a label
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/labels/{label_id}", tag = "task-settings", operation_id = "getLabel",
    params(("workspace_id" = WorkspaceId, Path), ("label_id" = LabelId, Path)),
    responses((status = 200, description = "The label", body = LabelView), (status = 404, description = "No such label, or no access")))]
pub(super) async fn get_label(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, label_id)): Path<(WorkspaceId, LabelId)>,
) -> Result<impl IntoResponse, Problem> {
    let view = service.get_label(&caller, workspace_id, label_id).await?;
    let version = view.version;
    Ok(Reply::ok(view, version))
}

/// Change a label
#[utoipa::path(patch, path = "/v1/workspaces/{workspace_id}/labels/{label_id}", tag = "task-settings", operation_id = "updateLabel",
    params(("workspace_id" = WorkspaceId, Path), ("label_id" = LabelId, Path)),
    request_body(content((UpdateLabel = "application/merge-patch+json"), (UpdateLabel = "application/json"))),
    responses(
        (status = 200, description = "The label as it is now", body = LabelView),
        (status = 404, description = "No such label, or no access"),
        (status = 409, description = "The name is taken"),
        (status = 412, description = "`If-Match` does not name the current version"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn update_label(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, label_id)): Path<(WorkspaceId, LabelId)>,
    if_match: IfMatch,
    Patch(command): Patch<UpdateLabel>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.update_label(&caller, workspace_id, label_id, &if_match, command).await?)
}

/// Delete a label
///
/// Takes it off all tasks, for good.
#[utoipa::path(delete, path = "/v1/workspaces/{workspace_id}/labels/{label_id}", tag = "task-settings", operation_id = "deleteLabel",
    params(("workspace_id" = WorkspaceId, Path), ("label_id" = LabelId, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "No such label, or no access"),
        (status = 412, description = "`If-Match` does not name the current version"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn delete_label(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, label_id)): Path<(WorkspaceId, LabelId)>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    service.delete_label(&caller, workspace_id, label_id, &if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}
