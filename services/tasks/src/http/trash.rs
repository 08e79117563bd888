//! What was deleted: seen, and erased before its time.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use kernel::cursor::Page;
use kernel::ids::{TaskId, WorkspaceId};
use platform::Caller;
use platform::db::Reply;
use platform::http::{IfMatch, Path, Problem, Query};

use crate::TasksService;
use crate::query::TrashQuery;
use crate::view::TrashItem;

type Service = State<Arc<TasksService>>;

/// List what was deleted
///
/// Tasks and projects of the workspace that the caller may restore, last deleted first, with who deleted them and when they are
/// erased. Sub-tasks that were deleted with a task come back with it and are not listed. To restore: `POST /v1/tasks/{id}/restore`
/// or `POST /v1/projects/{id}/restore`. An API key sees projects with the scope `projects:read` alone.
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/trash", tag = "tasks", operation_id = "listTrash",
    params(("workspace_id" = WorkspaceId, Path), TrashQuery),
    responses((status = 200, description = "A page", body = Page<TrashItem>), (status = 404, description = "No such workspace, or no access")))]
pub(super) async fn list_trash(
    State(service): Service,
    caller: Caller,
    Path(workspace_id): Path<WorkspaceId>,
    Query(query): Query<TrashQuery>,
) -> Result<impl IntoResponse, Problem> {
    let (kinds, limit) = query.parse()?;
    let page = service
        .list_trash(&caller, workspace_id, &kinds, query.cursor.as_deref(), limit)
        .await?;
    Ok(Reply::plain(page))
}

/// Erase a deleted task
///
/// With everything below it, at once and for ever. For owners of the project.
#[utoipa::path(delete, path = "/v1/trash/tasks/{task_id}", tag = "tasks", operation_id = "purgeTask",
    params(("task_id" = TaskId, Path)),
    responses(
        (status = 204, description = "Erased"),
        (status = 404, description = "No such task, or no right to erase it"),
        (status = 409, description = "It is not deleted, or its project is archived"),
        (status = 412, description = "`If-Match` does not name the current version"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn purge_task(
    State(service): Service,
    caller: Caller,
    Path(task_id): Path<TaskId>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    service.purge_task(&caller, task_id, &if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}
