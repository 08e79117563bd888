//! `/v1/workspaces/{workspace_id}/webhooks/{webhook_id}/deliveries`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use kernel::Timestamp;
use kernel::cursor::Page;
use kernel::ids::{WebhookId, WorkspaceId};
use platform::Caller;
use platform::http::{Body, Path, Problem, Query as QueryString};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{TAG, page_request};
use crate::WebhooksService;
use crate::model::{DeliveryId, DeliveryState};
use crate::service::views::{DeliveryDetailView, DeliveryView, ReplayView};
use crate::store::deliveries::Filter;

type Service = State<Arc<WebhooksService>>;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListDeliveriesQuery {
    #[param(inline)]
    state: Option<DeliveryState>,
    /// Only of this event type, such as `task.created` or `webhook.test`.
    #[param(max_length = 64, example = "task.created")]
    event_type: Option<String>,
    /// Only those made at this moment or later.
    since: Option<Timestamp>,
    /// Page size.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, with the same filter.
    #[param(max_length = 2048)]
    cursor: Option<String>,
}

/// List deliveries
///
/// The log of what was and will be sent, newest first. It is kept for 30 days, or as long as the operator chose.
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/webhooks/{webhook_id}/deliveries", tag = TAG, operation_id = "listWebhookDeliveries",
    params(("workspace_id" = WorkspaceId, Path), ("webhook_id" = WebhookId, Path), ListDeliveriesQuery),
    responses((status = 200, description = "A page", body = Page<DeliveryView>), (status = 404, description = "No such webhook")))]
pub(super) async fn list_deliveries(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, webhook_id)): Path<(WorkspaceId, WebhookId)>,
    QueryString(query): QueryString<ListDeliveriesQuery>,
) -> Result<impl IntoResponse, Problem> {
    let page = page_request(query.limit, query.cursor)?;
    let filter = Filter {
        state: query.state,
        event_type: query.event_type,
        since: query.since,
    };
    Ok(Json(
        service.list_deliveries(&caller, workspace_id, webhook_id, filter, page).await?,
    ))
}

/// Read a delivery
///
/// With the body that is sent, and each attempt with its status, duration and the start of the answer.
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/webhooks/{webhook_id}/deliveries/{delivery_id}", tag = TAG, operation_id = "getWebhookDelivery",
    params(("workspace_id" = WorkspaceId, Path), ("webhook_id" = WebhookId, Path), ("delivery_id" = DeliveryId, Path)),
    responses((status = 200, description = "The delivery", body = DeliveryDetailView), (status = 404, description = "No such delivery")))]
pub(super) async fn get_delivery(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, webhook_id, id)): Path<(WorkspaceId, WebhookId, DeliveryId)>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(service.get_delivery(&caller, workspace_id, webhook_id, id).await?))
}

/// Replay a delivery
///
/// Sends it again at once, whatever became of it, with the same `webhook-id` and a full schedule of retries.
#[utoipa::path(post, path = "/v1/workspaces/{workspace_id}/webhooks/{webhook_id}/deliveries/{delivery_id}/replay", tag = TAG, operation_id = "replayWebhookDelivery",
    params(("workspace_id" = WorkspaceId, Path), ("webhook_id" = WebhookId, Path), ("delivery_id" = DeliveryId, Path)),
    responses((status = 202, description = "It is being sent", body = DeliveryView), (status = 404, description = "No such delivery"),
        (status = 409, description = "The webhook is disabled")))]
pub(super) async fn replay_delivery(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, webhook_id, id)): Path<(WorkspaceId, WebhookId, DeliveryId)>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.replay_delivery(&caller, workspace_id, webhook_id, id).await?)
}

/// Which failed deliveries.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"since": "2026-11-20T00:00:00Z"}))]
pub(super) struct ReplayFailedRequest {
    /// Those made at this moment or later.
    since: Timestamp,
    /// And before this one; no end when left out.
    until: Option<Timestamp>,
}

/// Replay failed deliveries
///
/// Sends again what failed, the oldest first, at most 500 with one request.
#[utoipa::path(post, path = "/v1/workspaces/{workspace_id}/webhooks/{webhook_id}/replay-failed", tag = TAG, operation_id = "replayFailedWebhookDeliveries",
    params(("workspace_id" = WorkspaceId, Path), ("webhook_id" = WebhookId, Path)), request_body = ReplayFailedRequest,
    responses((status = 202, description = "How many are being sent", body = ReplayView), (status = 404, description = "No such webhook"),
        (status = 409, description = "The webhook is disabled")))]
pub(super) async fn replay_failed(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, webhook_id)): Path<(WorkspaceId, WebhookId)>,
    Body(body): Body<ReplayFailedRequest>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service
        .replay_failed(&caller, workspace_id, webhook_id, body.since, body.until)
        .await?)
}
