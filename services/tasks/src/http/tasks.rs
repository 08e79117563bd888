//! Tasks: create, read, list, change, delete, batch.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use kernel::cursor::Page;
use kernel::ids::{ProjectId, TaskId, WorkspaceId};
use platform::Caller;
use platform::db::Reply;
use platform::http::{Body, IfMatch, Patch, Path, Problem, Query};

use crate::TasksService;
use crate::command::{Batch, CreateTask, UpdateTask};
use crate::query::{GetTaskQuery, ProjectTasksQuery, TasksQuery};
use crate::service::BatchView;
use crate::view::{TaskItem, TaskView};

type Service = State<Arc<TasksService>>;

/// List the tasks of a project
///
/// Needs to be able to read the project.
#[utoipa::path(get, path = "/v1/projects/{project_id}/tasks", tag = "tasks", operation_id = "listProjectTasks",
    params(("project_id" = ProjectId, Path), ProjectTasksQuery),
    responses((status = 200, description = "A page of tasks", body = Page<TaskItem>), (status = 404, description = "No such project, or no access")))]
pub(super) async fn list_project_tasks(
    State(service): Service,
    caller: Caller,
    Path(project_id): Path<ProjectId>,
    Query(query): Query<ProjectTasksQuery>,
) -> Result<impl IntoResponse, Problem> {
    let (criteria, shape) = query.parse()?;
    let page = service.list_project_tasks(&caller, project_id, criteria, shape).await?;
    Ok(Reply::plain(page))
}

/// Create a task
///
/// Gets the next number of the project. Needs a collaborator of the project.
#[utoipa::path(post, path = "/v1/projects/{project_id}/tasks", tag = "tasks", operation_id = "createTask",
    params(("project_id" = ProjectId, Path)), request_body = CreateTask,
    responses(
        (status = 201, description = "The new task", body = TaskView),
        (status = 404, description = "No such project, or no access"),
        (status = 409, description = "The project is archived, or the parent task was deleted meanwhile")))]
pub(super) async fn create_task(
    State(service): Service,
    caller: Caller,
    Path(project_id): Path<ProjectId>,
    Body(command): Body<CreateTask>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.create_task(&caller, project_id, command).await?)
}

/// List tasks across projects
///
/// All tasks of all projects the caller can read, in every workspace. Ids of anything else match nothing.
#[utoipa::path(get, path = "/v1/tasks", tag = "tasks", operation_id = "listTasks", params(TasksQuery),
    responses((status = 200, description = "A page of tasks", body = Page<TaskItem>)))]
pub(super) async fn list_tasks(
    State(service): Service,
    caller: Caller,
    Query(query): Query<TasksQuery>,
) -> Result<impl IntoResponse, Problem> {
    let (criteria, shape) = query.parse()?;
    let page = service.list_tasks(&caller, criteria, shape).await?;
    Ok(Reply::plain(page))
}

/// Do many things at once
///
/// Up to 100 operations. `atomic` (default): all or nothing; everything is checked before anything is written, and the
/// errors point into `/operations/{i}`. Otherwise each operation stands for itself and the reply is 207 with a status
/// and, where it failed, a problem per operation.
#[utoipa::path(post, path = "/v1/tasks/batch", tag = "tasks", operation_id = "batchTasks", request_body = Batch,
    responses(
        (status = 200, description = "All operations are done", body = BatchView),
        (status = 207, description = "A status per operation; only with `atomic: false`", body = BatchView),
        (status = 404, description = "A task or project does not exist or is not accessible; nothing was done"),
        (status = 409, description = "An operation is not possible in the present state; nothing was done"),
        (status = 412, description = "A `version` is not the current one; nothing was done"),
        (status = 428, description = "The workspace demands a `version` with every operation; nothing was done")))]
pub(super) async fn batch_tasks(State(service): Service, caller: Caller, Body(batch): Body<Batch>) -> Result<impl IntoResponse, Problem> {
    Ok(service.batch(&caller, batch).await?)
}

/// Read a task
#[utoipa::path(get, path = "/v1/tasks/{task_id}", tag = "tasks", operation_id = "getTask",
    params(("task_id" = TaskId, Path), GetTaskQuery),
    responses((status = 200, description = "The task", body = TaskView), (status = 404, description = "No such task, or no access")))]
pub(super) async fn get_task(
    State(service): Service,
    caller: Caller,
    Path(task_id): Path<TaskId>,
    Query(query): Query<GetTaskQuery>,
) -> Result<impl IntoResponse, Problem> {
    let expand = query.expand()?;
    if expand.any() {
        // What is expanded has versions of its own, so the task's version is no ETag for the whole.
        return Ok(Reply::plain(service.get_task_expanded(&caller, task_id, expand).await?));
    }
    let view = service.get_task(&caller, task_id).await?;
    let version = view.version;
    Ok(Reply::ok(view, version))
}

/// Read a task by its key
///
/// Such as `ABC-123`; the case of the letters does not matter.
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/tasks/{key}", tag = "tasks", operation_id = "getTaskByKey",
    params(("workspace_id" = WorkspaceId, Path), ("key" = String, Path, description = "Project key and number", example = "ABC-123")),
    responses((status = 200, description = "The task", body = TaskView), (status = 404, description = "No such task, or no access")))]
pub(super) async fn get_task_by_key(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, key)): Path<(WorkspaceId, String)>,
) -> Result<impl IntoResponse, Problem> {
    let view = service.get_task_by_key(&caller, workspace_id, &key).await?;
    let version = view.version;
    Ok(Reply::ok(view, version))
}

/// Change a task
///
/// A merge patch. A patch that changes nothing keeps the version and announces nothing.
#[utoipa::path(patch, path = "/v1/tasks/{task_id}", tag = "tasks", operation_id = "updateTask",
    params(("task_id" = TaskId, Path)), request_body(content((UpdateTask = "application/merge-patch+json"), (UpdateTask = "application/json"))),
    responses(
        (status = 200, description = "The task as it is now", body = TaskView),
        (status = 404, description = "No such task, or no access"),
        (status = 409, description = "The task or its project is archived"),
        (status = 412, description = "`If-Match` does not name the current version"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn update_task(
    State(service): Service,
    caller: Caller,
    Path(task_id): Path<TaskId>,
    if_match: IfMatch,
    Patch(command): Patch<UpdateTask>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.update_task(&caller, task_id, &if_match, command).await?)
}

/// Delete a task and its sub-tasks
///
/// They can be restored for 30 days, then they are erased.
#[utoipa::path(delete, path = "/v1/tasks/{task_id}", tag = "tasks", operation_id = "deleteTask",
    params(("task_id" = TaskId, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "No such task, or no access"),
        (status = 409, description = "The project is archived, or the task has too many sub-tasks"),
        (status = 412, description = "`If-Match` does not name the current version"),
        (status = 428, description = "The workspace demands `If-Match`")))]
pub(super) async fn delete_task(
    State(service): Service,
    caller: Caller,
    Path(task_id): Path<TaskId>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    service.delete_task(&caller, task_id, &if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}
