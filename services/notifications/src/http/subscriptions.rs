//! `/v1/notifications/subscriptions`: subscribing to projects and tasks, and muting them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use kernel::cursor::Page;
use kernel::ids::{ProjectId, TaskId, WorkspaceId};
use platform::Caller;
use platform::db::Reply;
use platform::http::{Body, Path, Problem, Query as QueryString};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{TAG, page_size};
use crate::NotificationsService;
use crate::model::{Level, Subject};
use crate::service::subscriptions::{ListSubscriptions, Target};
use crate::service::views::SubscriptionView;

type Service = State<Arc<NotificationsService>>;

/// Which choices.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// `muted`: only what is muted, `subscribed`: only what is subscribed to.
    level: Option<Level>,
    /// Only projects, or only tasks.
    subject: Option<Subject>,
    /// Only of this workspace.
    workspace_id: Option<WorkspaceId>,
    /// Page size.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(max_length = 2048)]
    cursor: Option<String>,
}

/// How much to hear.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"level": "muted"}))]
pub(crate) struct ChooseSubscription {
    level: Level,
}

/// List subscriptions and mutes
///
/// What the caller subscribed to and what they muted, newest first. Projects and tasks that the caller cannot read (any more) and deleted
/// tasks are left out, so a page can be shorter than its limit.
#[utoipa::path(
    get,
    path = "/v1/notifications/subscriptions",
    tag = TAG,
    operation_id = "listNotificationSubscriptions",
    params(ListParams),
    responses((status = 200, description = "A page of the caller's choices.", body = Page<SubscriptionView>))
)]
pub(crate) async fn list_subscriptions(
    State(service): Service,
    caller: Caller,
    QueryString(params): QueryString<ListParams>,
) -> Result<Json<Page<SubscriptionView>>, Problem> {
    let request = ListSubscriptions {
        level: params.level,
        subject: params.subject,
        workspace_id: params.workspace_id,
        cursor: params.cursor,
        limit: page_size(params.limit)?,
    };
    Ok(Json(service.list_subscriptions(&caller, request).await?))
}

/// Read the subscription to a project
///
/// Whether the caller subscribed to the project, muted it, or neither.
#[utoipa::path(
    get,
    path = "/v1/notifications/subscriptions/projects/{project_id}",
    tag = TAG,
    operation_id = "getProjectSubscription",
    params(("project_id" = ProjectId, Path, description = "The project.")),
    responses(
        (status = 200, description = "What was chosen, if anything.", body = SubscriptionView),
        (status = 404, description = "No such project that the caller can read.")
    )
)]
pub(crate) async fn get_project_subscription(
    State(service): Service,
    caller: Caller,
    Path(id): Path<ProjectId>,
) -> Result<Json<SubscriptionView>, Problem> {
    Ok(Json(service.get_subscription(&caller, Target::Project(id)).await?))
}

/// Subscribe to a project, or mute it
///
/// `subscribed`: the caller hears of every new task of the project, and of changes, comments, completions and re-openings of all its tasks as if
/// they took part; by mail as far as the preferences say so. `muted`: nothing of the project's tasks in the inbox or by mail, except
/// `task.mentioned` and `task.assigned`, which somebody addressed to the caller. What was chosen for a single task wins over the project. Live
/// event streams are not affected.
#[utoipa::path(
    put,
    path = "/v1/notifications/subscriptions/projects/{project_id}",
    tag = TAG,
    operation_id = "chooseProjectSubscription",
    params(("project_id" = ProjectId, Path, description = "The project.")),
    request_body = ChooseSubscription,
    responses(
        (status = 200, description = "What holds now.", body = SubscriptionView),
        (status = 404, description = "No such project that the caller can read."),
        (status = 409, description = "The caller has made as many choices as one person may.")
    )
)]
pub(crate) async fn subscribe_to_project(
    State(service): Service,
    caller: Caller,
    Path(id): Path<ProjectId>,
    Body(body): Body<ChooseSubscription>,
) -> Result<Reply<SubscriptionView>, Problem> {
    Ok(service.subscribe(&caller, Target::Project(id), body.level).await?)
}

/// Take back the choice for a project
///
/// Unsubscribes, or unmutes. Repeating it changes nothing.
#[utoipa::path(
    delete,
    path = "/v1/notifications/subscriptions/projects/{project_id}",
    tag = TAG,
    operation_id = "resetProjectSubscription",
    params(("project_id" = ProjectId, Path, description = "The project.")),
    responses(
        (status = 204, description = "Nothing is chosen for the project."),
        (status = 404, description = "No such project that the caller can read, and no choice of theirs about it.")
    )
)]
pub(crate) async fn unsubscribe_from_project(
    State(service): Service,
    caller: Caller,
    Path(id): Path<ProjectId>,
) -> Result<StatusCode, Problem> {
    service.unsubscribe(&caller, Target::Project(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Read the subscription to a task
///
/// Whether the caller watches the task, muted it, or neither; and what holds by the project.
#[utoipa::path(
    get,
    path = "/v1/notifications/subscriptions/tasks/{task_id}",
    tag = TAG,
    operation_id = "getTaskSubscription",
    params(("task_id" = TaskId, Path, description = "The task.")),
    responses(
        (status = 200, description = "What was chosen, if anything.", body = SubscriptionView),
        (status = 404, description = "No such task that the caller can read.")
    )
)]
pub(crate) async fn get_task_subscription(
    State(service): Service,
    caller: Caller,
    Path(id): Path<TaskId>,
) -> Result<Json<SubscriptionView>, Problem> {
    Ok(Json(service.get_subscription(&caller, Target::Task(id)).await?))
}

/// Watch a task, or mute it
///
/// `subscribed`: the caller hears of changes, comments, completions and re-openings as if they took part. `muted`: nothing of the task, except
/// `task.mentioned` and `task.assigned`, which somebody addressed to the caller. It wins over what was chosen for the project.
#[utoipa::path(
    put,
    path = "/v1/notifications/subscriptions/tasks/{task_id}",
    tag = TAG,
    operation_id = "chooseTaskSubscription",
    params(("task_id" = TaskId, Path, description = "The task.")),
    request_body = ChooseSubscription,
    responses(
        (status = 200, description = "What holds now.", body = SubscriptionView),
        (status = 404, description = "No such task that the caller can read."),
        (status = 409, description = "The caller has made as many choices as one person may.")
    )
)]
pub(crate) async fn subscribe_to_task(
    State(service): Service,
    caller: Caller,
    Path(id): Path<TaskId>,
    Body(body): Body<ChooseSubscription>,
) -> Result<Reply<SubscriptionView>, Problem> {
    Ok(service.subscribe(&caller, Target::Task(id), body.level).await?)
}

/// Take back the choice for a task
///
/// Unwatches, or unmutes; the choice for the project holds again. Repeating it changes nothing.
#[utoipa::path(
    delete,
    path = "/v1/notifications/subscriptions/tasks/{task_id}",
    tag = TAG,
    operation_id = "resetTaskSubscription",
    params(("task_id" = TaskId, Path, description = "The task.")),
    responses(
        (status = 204, description = "Nothing is chosen for the task."),
        (status = 404, description = "No such task that the caller can read, and no choice of theirs about it.")
    )
)]
pub(crate) async fn unsubscribe_from_task(State(service): Service, caller: Caller, Path(id): Path<TaskId>) -> Result<StatusCode, Problem> {
    service.unsubscribe(&caller, Target::Task(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
