//! What can be done with a task besides changing its members: each a sub-resource, PUT to do it, DELETE to undo it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use kernel::ids::{TaskId, UserId};
use platform::Caller;
use platform::http::{Body, IfMatch, Path, Problem};

use crate::TasksService;
use crate::command::MoveTask;
use crate::view::TaskView;

type Service = State<Arc<TasksService>>;

/// Restore a deleted task
///
/// With the sub-tasks that were deleted together with it. A task that is not deleted stays as it is.
#[utoipa::path(post, path = "/v1/tasks/{task_id}/restore", tag = "tasks", operation_id = "restoreTask",
    params(("task_id" = TaskId, Path)),
    responses(
        (status = 200, description = "The task as it is now", body = TaskView),
        (status = 404, description = "No such task, or no access"),
        (status = 409, description = "The project is archived, or the parent task is deleted"),
        (status = 410, description = "The time to restore it is over"),
        (status = 412, description = "`If-Match` does not name the current version"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn restore_task(
    State(service): Service,
    caller: Caller,
    Path(task_id): Path<TaskId>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.restore_task(&caller, task_id, &if_match).await?)
}

/// Complete a task
///
/// Moves it into the first state that means done. Idempotent.
#[utoipa::path(put, path = "/v1/tasks/{task_id}/completion", tag = "tasks", operation_id = "completeTask",
    params(("task_id" = TaskId, Path)),
    responses(
        (status = 200, description = "The task as it is now", body = TaskView),
        (status = 404, description = "No such task, or no access"),
        (status = 409, description = "The task or its project is archived"),
        (status = 412, description = "`If-Match` does not name the current version"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn complete_task(
    State(service): Service,
    caller: Caller,
    Path(task_id): Path<TaskId>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.complete_task(&caller, task_id, &if_match, true).await?)
}

/// Reopen a task
///
/// Moves a done task into the default state. Idempotent.
#[utoipa::path(delete, path = "/v1/tasks/{task_id}/completion", tag = "tasks", operation_id = "reopenTask",
    params(("task_id" = TaskId, Path)),
    responses(
        (status = 200, description = "The task as it is now", body = TaskView),
        (status = 404, description = "No such task, or no access"),
        (status = 409, description = "The task or its project is archived"),
        (status = 412, description = "`If-Match` does not name the current version"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn reopen_task(
    State(service): Service,
    caller: Caller,
    Path(task_id): Path<TaskId>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.complete_task(&caller, task_id, &if_match, false).await?)
}

/// Archive a task
///
/// An archived task can be read but not changed, and lists leave it out unless asked. Idempotent.
#[utoipa::path(put, path = "/v1/tasks/{task_id}/archive", tag = "tasks", operation_id = "archiveTask",
    params(("task_id" = TaskId, Path)),
    responses(
        (status = 200, description = "The task as it is now", body = TaskView),
        (status = 404, description = "No such task, or no access"),
        (status = 409, description = "The project is archived"),
        (status = 412, description = "`If-Match` does not name the current version"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn archive_task(
    State(service): Service,
    caller: Caller,
    Path(task_id): Path<TaskId>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.archive_task(&caller, task_id, &if_match, true).await?)
}

/// Take a task out of the archive
///
/// Idempotent.
#[utoipa::path(delete, path = "/v1/tasks/{task_id}/archive", tag = "tasks", operation_id = "unarchiveTask",
    params(("task_id" = TaskId, Path)),
    responses(
        (status = 200, description = "The task as it is now", body = TaskView),
        (status = 404, description = "No such task, or no access"),
        (status = 409, description = "The project is archived"),
        (status = 412, description = "`If-Match` does not name the current version"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn unarchive_task(
    State(service): Service,
    caller: Caller,
    Path(task_id): Path<TaskId>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.archive_task(&caller, task_id, &if_match, false).await?)
}

/// Move a task on the board
///
/// Into a column and between two neighbours; one of them is enough, and none means the end of the column.
#[utoipa::path(put, path = "/v1/tasks/{task_id}/position", tag = "tasks", operation_id = "moveTask",
    params(("task_id" = TaskId, Path)), request_body = MoveTask,
    responses(
        (status = 200, description = "The task as it is now", body = TaskView),
        (status = 404, description = "No such task, or no access"),
        (status = 409, description = "The task or its project is archived, or there is no room between the neighbours"),
        (status = 412, description = "`If-Match` does not name the current version"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn move_task(
    State(service): Service,
    caller: Caller,
    Path(task_id): Path<TaskId>,
    if_match: IfMatch,
    Body(command): Body<MoveTask>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.move_task(&caller, task_id, &if_match, command).await?)
}

/// Assign a person
///
/// A member who can read the project. Idempotent.
#[utoipa::path(put, path = "/v1/tasks/{task_id}/assignees/{user_id}", tag = "tasks", operation_id = "assignTask",
    params(("task_id" = TaskId, Path), ("user_id" = UserId, Path)),
    responses(
        (status = 200, description = "The task as it is now", body = TaskView),
        (status = 404, description = "No such task, or no access"),
        (status = 409, description = "The task or its project is archived"),
        (status = 412, description = "`If-Match` does not name the current version"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn assign_task(
    State(service): Service,
    caller: Caller,
    Path((task_id, user_id)): Path<(TaskId, UserId)>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.assign(&caller, task_id, user_id, &if_match).await?)
}

/// Take a person off a task
///
/// Idempotent.
#[utoipa::path(delete, path = "/v1/tasks/{task_id}/assignees/{user_id}", tag = "tasks", operation_id = "unassignTask",
    params(("task_id" = TaskId, Path), ("user_id" = UserId, Path)),
    responses(
        (status = 200, description = "The task as it is now", body = TaskView),
        (status = 404, description = "No such task, or no access"),
        (status = 409, description = "The task or its project is archived"),
        (status = 412, description = "`If-Match` does not name the current version"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn unassign_task(
    State(service): Service,
    caller: Caller,
    Path((task_id, user_id)): Path<(TaskId, UserId)>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.unassign(&caller, task_id, user_id, &if_match).await?)
}
