//! Relations between tasks.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use kernel::ids::TaskId;
use platform::Caller;
use platform::db::Reply;
use platform::http::{Path, Problem};

use crate::TasksService;
use crate::error::TasksError;
use crate::model::relation::Relation;
use crate::view::{RelationList, RelationView};

type Service = State<Arc<TasksService>>;

/// List the relations of a task
///
/// All of them, at most 100, oldest first; without those to tasks the caller cannot see.
#[utoipa::path(get, path = "/v1/tasks/{task_id}/relations", tag = "tasks", operation_id = "listTaskRelations",
    params(("task_id" = TaskId, Path)),
    responses((status = 200, description = "The relations", body = RelationList), (status = 404, description = "No such task, or no access")))]
pub(super) async fn list_relations(
    State(service): Service,
    caller: Caller,
    Path(task_id): Path<TaskId>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Reply::plain(service.list_relations(&caller, task_id).await?))
}

/// Relate two tasks
///
/// Seen from the first: it `blocks` the other, is `blocked_by` it, `relates` to it, `duplicates` it or is
/// `duplicated_by` it. The other one is a task of the same workspace, in whichever project the caller can read.
/// Idempotent.
#[utoipa::path(put, path = "/v1/tasks/{task_id}/relations/{relation}/{other_id}", tag = "tasks", operation_id = "relateTasks",
    params(("task_id" = TaskId, Path), ("relation" = Relation, Path), ("other_id" = TaskId, Path)),
    responses(
        (status = 200, description = "The relation", body = RelationView),
        (status = 404, description = "No such task, or no access to one of them"),
        (status = 409, description = "It would close a cycle, a task has too many relations, or the task or its project is archived")))]
pub(super) async fn relate_tasks(
    State(service): Service,
    caller: Caller,
    Path((task_id, relation, other_id)): Path<(TaskId, String, TaskId)>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.relate(&caller, task_id, parse(&relation)?, other_id).await?)
}

/// End a relation
///
/// Idempotent.
#[utoipa::path(delete, path = "/v1/tasks/{task_id}/relations/{relation}/{other_id}", tag = "tasks", operation_id = "unrelateTasks",
    params(("task_id" = TaskId, Path), ("relation" = Relation, Path), ("other_id" = TaskId, Path)),
    responses(
        (status = 204, description = "There is no such relation any more"),
        (status = 404, description = "No such task, or no access to one of them"),
        (status = 409, description = "The task or its project is archived")))]
pub(super) async fn unrelate_tasks(
    State(service): Service,
    caller: Caller,
    Path((task_id, relation, other_id)): Path<(TaskId, String, TaskId)>,
) -> Result<impl IntoResponse, Problem> {
    service.unrelate(&caller, task_id, parse(&relation)?, other_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A name that is no relation is a path that is not there.
fn parse(relation: &str) -> kernel::Result<Relation> {
    relation.parse().map_err(|_| TasksError::UnknownRelation.into())
}
