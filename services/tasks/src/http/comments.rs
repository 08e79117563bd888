//! Comments on a task, and its history.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use kernel::cursor::Page;
use kernel::ids::{CommentId, TaskId};
use platform::Caller;
use platform::db::Reply;
use platform::http::{Body, IfMatch, Patch, Path, Problem, Query};

use crate::TasksService;
use crate::command::WriteComment;
use crate::query::PageQuery;
use crate::view::{ActivityView, CommentView};

type Service = State<Arc<TasksService>>;

/// List the comments on a task
///
/// Oldest first.
#[utoipa::path(get, path = "/v1/tasks/{task_id}/comments", tag = "comments", operation_id = "listComments",
    params(("task_id" = TaskId, Path), PageQuery),
    responses((status = 200, description = "A page of comments", body = Page<CommentView>), (status = 404, description = "No such task, or no access")))]
pub(super) async fn list_comments(
    State(service): Service,
    caller: Caller,
    Path(task_id): Path<TaskId>,
    Query(query): Query<PageQuery>,
) -> Result<impl IntoResponse, Problem> {
    let limit = query.limit()?;
    let page = service.list_comments(&caller, task_id, query.cursor.as_deref(), limit).await?;
    Ok(Reply::plain(page))
}

/// Comment on a task
#[utoipa::path(post, path = "/v1/tasks/{task_id}/comments", tag = "comments", operation_id = "createComment",
    params(("task_id" = TaskId, Path)), request_body = WriteComment,
    responses(
        (status = 201, description = "The new comment", body = CommentView),
        (status = 404, description = "No such task, or no access"),
        (status = 409, description = "The task or its project is archived")))]
pub(super) async fn create_comment(
    State(service): Service,
    caller: Caller,
    Path(task_id): Path<TaskId>,
    Body(command): Body<WriteComment>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.create_comment(&caller, task_id, command).await?)
}

/// Read a comment
#[utoipa::path(get, path = "/v1/comments/{comment_id}", tag = "comments", operation_id = "getComment",
    params(("comment_id" = CommentId, Path)),
    responses((status = 200, description = "The comment", body = CommentView), (status = 404, description = "No such comment, or no access")))]
pub(super) async fn get_comment(
    State(service): Service,
    caller: Caller,
    Path(comment_id): Path<CommentId>,
) -> Result<impl IntoResponse, Problem> {
    let view = service.get_comment(&caller, comment_id).await?;
    let version = view.version;
    Ok(Reply::ok(view, version))
}

/// Change a comment
///
/// Only its author may.
#[utoipa::path(patch, path = "/v1/comments/{comment_id}", tag = "comments", operation_id = "updateComment",
    params(("comment_id" = CommentId, Path)), request_body(content((WriteComment = "application/merge-patch+json"), (WriteComment = "application/json"))),
    responses(
        (status = 200, description = "The comment as it is now", body = CommentView),
        (status = 404, description = "No such comment, or no access"),
        (status = 409, description = "The task or its project is archived"),
        (status = 412, description = "`If-Match` does not name the current version"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn update_comment(
    State(service): Service,
    caller: Caller,
    Path(comment_id): Path<CommentId>,
    if_match: IfMatch,
    Patch(command): Patch<WriteComment>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.update_comment(&caller, comment_id, &if_match, command).await?)
}

/// Delete a comment
///
/// For good. Its author may, and the owners of the project.
#[utoipa::path(delete, path = "/v1/comments/{comment_id}", tag = "comments", operation_id = "deleteComment",
    params(("comment_id" = CommentId, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "No such comment, or no access"),
        (status = 409, description = "The task or its project is archived"),
        (status = 412, description = "`If-Match` does not name the current version"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn delete_comment(
    State(service): Service,
    caller: Caller,
    Path(comment_id): Path<CommentId>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    service.delete_comment(&caller, comment_id, &if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Read the history of a task
///
/// Newest first: who changed what, from which value to which.
#[utoipa::path(get, path = "/v1/tasks/{task_id}/activity", tag = "tasks", operation_id = "listTaskActivity",
    params(("task_id" = TaskId, Path), PageQuery),
    responses((status = 200, description = "A page of the history", body = Page<ActivityView>), (status = 404, description = "No such task, or no access")))]
pub(super) async fn list_activity(
    State(service): Service,
    caller: Caller,
    Path(task_id): Path<TaskId>,
    Query(query): Query<PageQuery>,
) -> Result<impl IntoResponse, Problem> {
    let limit = query.limit()?;
    let page = service.list_activity(&caller, task_id, query.cursor.as_deref(), limit).await?;
    Ok(Reply::plain(page))
}
