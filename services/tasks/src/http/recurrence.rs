//! Tasks that come again.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use kernel::ids::TaskId;
use platform::Caller;
use platform::db::Reply;
use platform::http::{Body, IfMatch, Path, Problem};

use crate::TasksService;
use crate::command::SetRecurrence;
use crate::view::{RecurrenceView, TaskView};

type Service = State<Arc<TasksService>>;

/// Read how a task recurs
///
/// Also of an older task of the series.
#[utoipa::path(get, path = "/v1/tasks/{task_id}/recurrence", tag = "tasks", operation_id = "getTaskRecurrence",
    params(("task_id" = TaskId, Path)),
    responses((status = 200, description = "The series", body = RecurrenceView), (status = 404, description = "No such task, no access, or it does not recur")))]
pub(super) async fn get_recurrence(
    State(service): Service,
    caller: Caller,
    Path(task_id): Path<TaskId>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Reply::plain(service.get_recurrence(&caller, task_id).await?))
}

/// Let a task recur
///
/// By a recurrence rule (RFC 5545), with the task's due date as the first occurrence; only the present task of a series can
/// get a new rule.
#[utoipa::path(put, path = "/v1/tasks/{task_id}/recurrence", tag = "tasks", operation_id = "setTaskRecurrence",
    params(("task_id" = TaskId, Path)), request_body = SetRecurrence,
    responses(
        (status = 200, description = "The series", body = RecurrenceView),
        (status = 404, description = "No such task, or no access"),
        (status = 409, description = "The task is not due, is not the present one of its series, or is archived or its project is"),
        (status = 412, description = "`If-Match` does not name the current version of the task"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn set_recurrence(
    State(service): Service,
    caller: Caller,
    Path(task_id): Path<TaskId>,
    if_match: IfMatch,
    Body(command): Body<SetRecurrence>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.set_recurrence(&caller, task_id, &if_match, command).await?)
}

/// End a series
///
/// The tasks that there are stay. Idempotent.
#[utoipa::path(delete, path = "/v1/tasks/{task_id}/recurrence", tag = "tasks", operation_id = "endTaskRecurrence",
    params(("task_id" = TaskId, Path)),
    responses(
        (status = 204, description = "The task does not recur any more"),
        (status = 404, description = "No such task, or no access"),
        (status = 409, description = "The task or its project is archived"),
        (status = 412, description = "`If-Match` does not name the current version of the task"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn end_recurrence(
    State(service): Service,
    caller: Caller,
    Path(task_id): Path<TaskId>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    service.end_recurrence(&caller, task_id, &if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Skip an occurrence
///
/// The present task becomes due at the next one.
#[utoipa::path(post, path = "/v1/tasks/{task_id}/recurrence/skip", tag = "tasks", operation_id = "skipTaskOccurrence",
    params(("task_id" = TaskId, Path)),
    responses(
        (status = 200, description = "The task as it is now", body = TaskView),
        (status = 404, description = "No such task, no access, or it does not recur"),
        (status = 409, description = "There is no further occurrence, the task is closed or not the present one of its series, or it or its project is archived"),
        (status = 412, description = "`If-Match` does not name the current version of the task"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn skip_occurrence(
    State(service): Service,
    caller: Caller,
    Path(task_id): Path<TaskId>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.skip_occurrence(&caller, task_id, &if_match).await?)
}
