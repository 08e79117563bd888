//! `/v1/notifications`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use kernel::Timestamp;
use kernel::cursor::Page;
use kernel::ids::{NotificationId, WorkspaceId};
use platform::Caller;
use platform::db::Reply;
use platform::http::{Body, Path, Problem, Query as QueryString};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::{TAG, page_size};
use crate::NotificationsService;
use crate::model::Kind;
use crate::service::inbox::ListInbox;
use crate::service::views::{NotificationView, ReadAllResult, UnreadCount};

type Service = State<Arc<NotificationsService>>;

/// Which notifications.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// `true`: only unread, `false`: only read.
    unread: Option<bool>,
    /// Only of this workspace.
    workspace_id: Option<WorkspaceId>,
    /// Only of these kinds, separated by commas.
    #[serde(default, deserialize_with = "kinds")]
    #[param(value_type = Option<Vec<Kind>>, style = Form, explode = false, example = json!(["task.assigned", "task.mentioned"]))]
    kind: Vec<Kind>,
    /// Page size.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(max_length = 2048)]
    cursor: Option<String>,
    /// Also count all that match.
    include_total: Option<bool>,
}

fn kinds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Kind>, D::Error> {
    let text = String::deserialize(deserializer)?;
    // `kind=` is a list without members: no filter.
    text.split(',')
        .filter(|kind| !kind.is_empty())
        .map(|kind| kind.parse().map_err(|_| serde::de::Error::custom(format!("unknown kind {kind:?}"))))
        .collect()
}

/// List notifications
///
/// The caller's own inbox, newest first. What belongs to a workspace or project that the caller can no longer read is left out.
#[utoipa::path(
    get,
    path = "/v1/notifications",
    tag = TAG,
    operation_id = "listNotifications",
    params(ListParams),
    responses((status = 200, description = "A page of the inbox.", body = Page<NotificationView>))
)]
pub(crate) async fn list_notifications(
    State(service): Service,
    caller: Caller,
    QueryString(params): QueryString<ListParams>,
) -> Result<Json<Page<NotificationView>>, Problem> {
    let request = ListInbox {
        unread: params.unread,
        workspace_id: params.workspace_id,
        kinds: params.kind,
        cursor: params.cursor,
        limit: page_size(params.limit)?,
        include_total: params.include_total.unwrap_or(false),
    };
    Ok(Json(service.list_inbox(&caller, request).await?))
}

/// Count unread notifications
///
/// For a badge: how many of the caller's notifications are unread.
#[utoipa::path(
    get,
    path = "/v1/notifications/unread-count",
    tag = TAG,
    operation_id = "countUnreadNotifications",
    responses((status = 200, description = "The number.", body = UnreadCount))
)]
pub(crate) async fn count_unread(State(service): Service, caller: Caller) -> Result<Json<UnreadCount>, Problem> {
    Ok(Json(service.count_unread(&caller).await?))
}

/// Read a notification
///
/// Looking at it does not mark it read.
#[utoipa::path(
    get,
    path = "/v1/notifications/{id}",
    tag = TAG,
    operation_id = "getNotification",
    params(("id" = NotificationId, Path, description = "The notification.")),
    responses(
        (status = 200, description = "The notification.", body = NotificationView),
        (status = 404, description = "No such notification of the caller.")
    )
)]
pub(crate) async fn get_notification(
    State(service): Service,
    caller: Caller,
    Path(id): Path<NotificationId>,
) -> Result<Json<NotificationView>, Problem> {
    Ok(Json(service.get_notification(&caller, id).await?.into()))
}

/// Mark a notification read
///
/// Repeating it changes nothing.
#[utoipa::path(
    put,
    path = "/v1/notifications/{id}/read",
    tag = TAG,
    operation_id = "markNotificationRead",
    params(("id" = NotificationId, Path, description = "The notification.")),
    responses(
        (status = 204, description = "It is read."),
        (status = 404, description = "No such notification of the caller.")
    )
)]
pub(crate) async fn mark_read(State(service): Service, caller: Caller, Path(id): Path<NotificationId>) -> Result<StatusCode, Problem> {
    service.set_read(&caller, id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mark a notification unread
///
/// Repeating it changes nothing.
#[utoipa::path(
    delete,
    path = "/v1/notifications/{id}/read",
    tag = TAG,
    operation_id = "markNotificationUnread",
    params(("id" = NotificationId, Path, description = "The notification.")),
    responses(
        (status = 204, description = "It is unread."),
        (status = 404, description = "No such notification of the caller.")
    )
)]
pub(crate) async fn mark_unread(State(service): Service, caller: Caller, Path(id): Path<NotificationId>) -> Result<StatusCode, Problem> {
    service.set_read(&caller, id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What to mark.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"before": "2026-11-21T09:30:00Z"}))]
pub(crate) struct MarkAllRead {
    /// Only of this workspace.
    workspace_id: Option<WorkspaceId>,
    /// Only what was created at this moment or earlier, so that news arriving meanwhile stay unread. Now, when left out.
    before: Option<Timestamp>,
}

/// Mark all read
///
/// Marks the caller's unread notifications read, all of them or those that the body names.
#[utoipa::path(
    post,
    path = "/v1/notifications/read-all",
    tag = TAG,
    operation_id = "markAllNotificationsRead",
    request_body = MarkAllRead,
    responses((status = 200, description = "How many there were.", body = ReadAllResult))
)]
pub(crate) async fn mark_all_read(
    State(service): Service,
    caller: Caller,
    Body(body): Body<MarkAllRead>,
) -> Result<Reply<ReadAllResult>, Problem> {
    Ok(service.read_all(&caller, body.workspace_id, body.before).await?)
}

/// Dismiss a notification
///
/// Removes it from the inbox for ever.
#[utoipa::path(
    delete,
    path = "/v1/notifications/{id}",
    tag = TAG,
    operation_id = "dismissNotification",
    params(("id" = NotificationId, Path, description = "The notification.")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "No such notification of the caller.")
    )
)]
pub(crate) async fn dismiss_notification(
    State(service): Service,
    caller: Caller,
    Path(id): Path<NotificationId>,
) -> Result<StatusCode, Problem> {
    service.dismiss(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
