//! `/v1/workspaces/{workspace_id}/webhooks`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{HeaderName, HeaderValue, StatusCode, header};
use kernel::cursor::Page;
use kernel::ids::{ProjectId, WebhookId, WorkspaceId};
use platform::Caller;
use platform::http::{Body, Field, IfMatch, OptionalBody, Patch, Path, Problem, Query as QueryString};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, Type};

use super::{TAG, page_request};
use crate::WebhooksService;
use crate::model::{MAX_PATTERNS, event_names};
use crate::service::OFFERED;
use crate::service::views::{DeliveryView, WebhookView, WebhookWithSecretView};
use crate::service::webhooks::{CreateWebhook, UpdateWebhook};

type Service = State<Arc<WebhooksService>>;

/// An answer with a secret stays out of caches.
const fn no_store() -> [(HeaderName, HeaderValue); 1] {
    [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]
}

/// The closed list of names and patterns, so that a client can offer it.
fn event_types_schema() -> Array {
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(event_names(&OFFERED)));
    ArrayBuilder::new()
        .items(name)
        .min_items(Some(1))
        .max_items(Some(MAX_PATTERNS))
        .description(Some("Names such as `task.created`, groups such as `task.*`, or `*` for all."))
        .build()
}

const fn enabled() -> bool {
    true
}

/// A new webhook.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"url": "https://hooks.example.com/guildhall", "event_types": ["task.*", "member.added"], "description": "Chat bridge"}))]
pub(super) struct CreateWebhookRequest {
    /// Where messages are sent: https, a public host, one of the ports that the operator allows (443, 80, 8443 and 8080 by default), without
    /// user name and fragment.
    #[schema(format = "uri", min_length = 1, max_length = 2048)]
    url: String,
    /// One line.
    #[schema(max_length = 500, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    description: Option<String>,
    #[schema(schema_with = event_types_schema)]
    event_types: Vec<String>,
    /// Only events of this project.
    project_id: Option<ProjectId>,
    /// `false`: nothing is sent yet.
    #[serde(default = "enabled")]
    #[schema(default = true)]
    enabled: bool,
}

/// A merge patch (RFC 7396): what is left out stays, `null` clears.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"event_types": ["*"], "enabled": true}))]
pub(super) struct UpdateWebhookRequest {
    #[schema(value_type = Option<String>, nullable = false, format = "uri", min_length = 1, max_length = 2048)]
    #[serde(default)]
    url: Field<String>,
    #[schema(value_type = Option<String>, max_length = 500, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    #[serde(default)]
    description: Field<String>,
    #[schema(schema_with = event_types_schema, required = false)]
    #[serde(default)]
    event_types: Field<Vec<String>>,
    /// `null`: events of all projects.
    #[schema(value_type = Option<ProjectId>)]
    #[serde(default)]
    project_id: Field<ProjectId>,
    /// Enabling forgets old failures; disabling gives up what waits to be sent. What happens while it is disabled is not kept for it.
    #[schema(value_type = Option<bool>, nullable = false)]
    #[serde(default)]
    enabled: Field<bool>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListWebhooksQuery {
    /// Page size.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(max_length = 2048)]
    cursor: Option<String>,
}

/// List webhooks
///
/// In the order of their making. For owners of the workspace, as everything about webhooks.
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/webhooks", tag = TAG, operation_id = "listWebhooks",
    params(("workspace_id" = WorkspaceId, Path), ListWebhooksQuery),
    responses((status = 200, description = "A page", body = Page<WebhookView>), (status = 404, description = "No such workspace")))]
pub(super) async fn list_webhooks(
    State(service): Service,
    caller: Caller,
    Path(workspace_id): Path<WorkspaceId>,
    QueryString(query): QueryString<ListWebhooksQuery>,
) -> Result<impl IntoResponse, Problem> {
    let page = page_request(query.limit, query.cursor)?;
    Ok(Json(service.list_webhooks(&caller, workspace_id, page).await?))
}

/// Make a webhook
///
/// From now on every event that it wants is sent to the URL as a signed POST (Standard Webhooks). The answer holds the secret that
/// verifies the signatures, this once.
#[utoipa::path(post, path = "/v1/workspaces/{workspace_id}/webhooks", tag = TAG, operation_id = "createWebhook",
    params(("workspace_id" = WorkspaceId, Path)), request_body = CreateWebhookRequest,
    responses((status = 201, description = "Made", body = WebhookWithSecretView), (status = 404, description = "No such workspace"),
        (status = 409, description = "The workspace has too many webhooks"),
        (status = 422, description = "The URL cannot be called from here, or another field is not acceptable")))]
pub(super) async fn create_webhook(
    State(service): Service,
    caller: Caller,
    Path(workspace_id): Path<WorkspaceId>,
    Body(body): Body<CreateWebhookRequest>,
) -> Result<impl IntoResponse, Problem> {
    let command = CreateWebhook {
        url: body.url,
        description: body.description,
        event_types: body.event_types,
        project_id: body.project_id,
        enabled: body.enabled,
    };
    Ok((no_store(), service.create_webhook(&caller, workspace_id, command).await?).into_response())
}

/// Read a webhook
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/webhooks/{webhook_id}", tag = TAG, operation_id = "getWebhook",
    params(("workspace_id" = WorkspaceId, Path), ("webhook_id" = WebhookId, Path)),
    responses((status = 200, description = "The webhook", body = WebhookView, headers(("ETag" = String, description = "Version of the body"))),
        (status = 404, description = "No such webhook")))]
pub(super) async fn get_webhook(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, id)): Path<(WorkspaceId, WebhookId)>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.get_webhook(&caller, workspace_id, id).await?)
}

/// Change a webhook
#[utoipa::path(patch, path = "/v1/workspaces/{workspace_id}/webhooks/{webhook_id}", tag = TAG, operation_id = "updateWebhook",
    params(("workspace_id" = WorkspaceId, Path), ("webhook_id" = WebhookId, Path)),
    request_body(content((UpdateWebhookRequest = "application/merge-patch+json"), (UpdateWebhookRequest = "application/json"))),
    responses((status = 200, description = "Changed", body = WebhookView, headers(("ETag" = String, description = "Version of the body"))),
        (status = 404, description = "No such webhook"), (status = 412, description = "Changed since it was read"),
        (status = 422, description = "The URL cannot be called from here, or another field is not acceptable"),
        (status = 428, description = "If-Match is missing")))]
pub(super) async fn update_webhook(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, id)): Path<(WorkspaceId, WebhookId)>,
    if_match: IfMatch,
    Patch(body): Patch<UpdateWebhookRequest>,
) -> Result<impl IntoResponse, Problem> {
    let command = UpdateWebhook {
        url: body.url,
        description: body.description,
        event_types: body.event_types,
        project_id: body.project_id,
        enabled: body.enabled,
    };
    Ok(service.update_webhook(&caller, workspace_id, id, &if_match, command).await?)
}

/// Delete a webhook
///
/// With the log of its deliveries, for ever.
#[utoipa::path(delete, path = "/v1/workspaces/{workspace_id}/webhooks/{webhook_id}", tag = TAG, operation_id = "deleteWebhook",
    params(("workspace_id" = WorkspaceId, Path), ("webhook_id" = WebhookId, Path)),
    responses((status = 204, description = "Deleted"), (status = 404, description = "No such webhook"),
        (status = 412, description = "Changed since it was read"), (status = 428, description = "If-Match is missing")))]
pub(super) async fn delete_webhook(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, id)): Path<(WorkspaceId, WebhookId)>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    service.delete_webhook(&caller, workspace_id, id, &if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How the secret is rotated; may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateSecretRequest {
    /// `true`: from now on only the new secret signs. For when one of those before leaked; receivers take no message until they
    /// have the new one.
    #[serde(default)]
    #[schema(default = false)]
    expire_old_secrets: bool,
}

/// Rotate the secret
///
/// The answer holds the new secret, this once. For 24 hours (or what the operator chose) messages carry a signature of the replaced
/// secret as well; whoever rotates again before shortens that for none of those before. Five replaced secrets can sign at the same time.
#[utoipa::path(post, path = "/v1/workspaces/{workspace_id}/webhooks/{webhook_id}/secret-rotation", tag = TAG, operation_id = "rotateWebhookSecret",
    params(("workspace_id" = WorkspaceId, Path), ("webhook_id" = WebhookId, Path)),
    request_body(content = Option<RotateSecretRequest>, example = json!({"expire_old_secrets": false})),
    responses((status = 200, description = "Rotated", body = WebhookWithSecretView, headers(("ETag" = String, description = "Version of the body"))),
        (status = 404, description = "No such webhook"), (status = 409, description = "Five replaced secrets still sign"),
        (status = 412, description = "Changed since it was read"),
        (status = 428, description = "If-Match is missing")))]
pub(super) async fn rotate_secret(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, id)): Path<(WorkspaceId, WebhookId)>,
    if_match: IfMatch,
    OptionalBody(body): OptionalBody<RotateSecretRequest>,
) -> Result<impl IntoResponse, Problem> {
    let expire_old = body.unwrap_or_default().expire_old_secrets;
    let rotated = service.rotate_secret(&caller, workspace_id, id, &if_match, expire_old).await?;
    Ok((no_store(), rotated).into_response())
}

/// Send a test message
///
/// An event of type `webhook.test`, whatever events the webhook wants. Read the delivery to see what came back.
#[utoipa::path(post, path = "/v1/workspaces/{workspace_id}/webhooks/{webhook_id}/test", tag = TAG, operation_id = "testWebhook",
    params(("workspace_id" = WorkspaceId, Path), ("webhook_id" = WebhookId, Path)),
    responses((status = 202, description = "It is being sent; `Location` names the delivery", body = DeliveryView),
        (status = 404, description = "No such webhook"), (status = 409, description = "The webhook is disabled")))]
pub(super) async fn test_webhook(
    State(service): Service,
    caller: Caller,
    Path((workspace_id, id)): Path<(WorkspaceId, WebhookId)>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.test_webhook(&caller, workspace_id, id).await?)
}
