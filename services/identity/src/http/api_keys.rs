//! Keys for programs that act for the caller.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use kernel::Timestamp;
use kernel::cursor::Page;
use kernel::ids::ApiKeyId;
use kernel::scopes::Scope;
use platform::Caller;
use platform::db::Reply;
use platform::http::{Body, IfMatch, OpenApiRouter, Patch, Path, Problem, Query as QueryString};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{Bounds, NO_STORE, Service, page_limit};
use crate::model::api_key::ApiKey;
use crate::service::{CreateApiKey, IdentityService};

pub(super) fn routes() -> OpenApiRouter<Arc<IdentityService>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, rename, revoke))
}

/// A key, without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ApiKeyView {
    id: ApiKeyId,
    #[schema(example = "Nightly report")]
    name: String,
    /// How the key's text begins, and no other's: tells which one it is that was found somewhere.
    #[schema(example = "ghl_aguwjyxkqbyabaaaaaaaaaaaae")]
    prefix: String,
    /// To write includes to read.
    scopes: Vec<Scope>,
    created_at: Timestamp,
    expires_at: Timestamp,
    /// To the minute; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_used_at: Option<Timestamp>,
}

impl From<&ApiKey> for ApiKeyView {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name.clone(),
            prefix: kernel::api_key::beginning(key.id),
            scopes: key.scopes.iter().collect(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct IssuedApiKeyView {
    #[serde(flatten)]
    api_key: ApiKeyView,
    /// Shown this once; absent when the answer is replayed for an `Idempotency-Key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "ghl_agm4d4vhyr6qxgru4pq2cmhqw2_...")]
    key: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateApiKeyRequest {
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    name: String,
    /// What the key may be used for, never beyond what the caller may do themselves.
    #[schema(min_items = 1, max_items = 20)]
    scopes: Vec<Scope>,
    /// 90 when absent; the installation may allow fewer than 366.
    #[schema(minimum = 1, maximum = 366)]
    expires_in_days: Option<u32>,
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 256)]
    current_password: SecretString,
    /// Needed of people with a second factor: six digits from the app, or a recovery code.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 40)]
    code: Option<SecretString>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RenameApiKeyRequest {
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    name: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListApiKeysQuery {
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    cursor: Option<String>,
}

/// List one's own API keys
///
/// Newest first. Revoked ones are gone; expired ones stay for 30 days.
#[utoipa::path(get, path = "/v1/api-keys", tag = "api-keys", operation_id = "listApiKeys", params(ListApiKeysQuery),
    responses((status = 200, description = "A page", body = Page<ApiKeyView>)))]
async fn list(
    State(service): Service,
    caller: Caller,
    QueryString(query): QueryString<ListApiKeysQuery>,
) -> Result<impl IntoResponse, Problem> {
    let limit = page_limit(query.limit)?;
    let page = service.list_api_keys(&caller, limit, query.cursor.as_deref()).await?;
    Ok(axum::Json(page.map(|key| ApiKeyView::from(&key))))
}

/// Make an API key
///
/// `key` is shown in this answer and never again. Send it as `Authorization: Bearer ghl_...`; it is not accepted anywhere
/// else. The owner is told by mail now, and again before it expires.
#[utoipa::path(post, path = "/v1/api-keys", tag = "api-keys", operation_id = "createApiKey",
    request_body(content = CreateApiKeyRequest,
        example = json!({"name": "Nightly report", "scopes": ["tasks:read", "projects:read"], "expires_in_days": 90, "current_password": "seventeen wet herons"})),
    responses((status = 201, description = "Made", body = IssuedApiKeyView),
        (status = 409, description = "The caller has as many keys as one can have")))]
async fn create(State(service): Service, caller: Caller, Body(body): Body<CreateApiKeyRequest>) -> Result<impl IntoResponse, Problem> {
    let bounds = Bounds::default().password("/current_password", &body.current_password);
    bounds.optional_code(body.code.as_ref()).check()?;
    let command = CreateApiKey {
        name: body.name,
        scopes: body.scopes,
        expires_in_days: body.expires_in_days,
        current_password: body.current_password,
        code: body.code,
    };
    let (mut reply, text) = service
        .create_api_key(&caller, command, |key| IssuedApiKeyView {
            api_key: ApiKeyView::from(key),
            key: None,
        })
        .await?;
    reply.body.key = Some(text.expose_secret().to_owned());
    Ok((NO_STORE, reply))
}

/// Read one of one's own API keys
#[utoipa::path(get, path = "/v1/api-keys/{key_id}", tag = "api-keys", operation_id = "getApiKey", params(("key_id" = ApiKeyId, Path)),
    responses((status = 200, description = "The key, without its secret", body = ApiKeyView, headers(("ETag" = String))),
        (status = 404, description = "No such key of the caller")))]
async fn get(State(service): Service, caller: Caller, Path(id): Path<ApiKeyId>) -> Result<impl IntoResponse, Problem> {
    let key = service.get_api_key(&caller, id).await?;
    Ok(Reply::ok(ApiKeyView::from(&key), key.version))
}

/// Rename an API key
#[utoipa::path(patch, path = "/v1/api-keys/{key_id}", tag = "api-keys", operation_id = "renameApiKey", params(("key_id" = ApiKeyId, Path)),
    request_body(content = RenameApiKeyRequest, content_type = "application/merge-patch+json", example = json!({"name": "Weekly report"})),
    responses((status = 200, description = "Renamed", body = ApiKeyView, headers(("ETag" = String))),
        (status = 404, description = "No such key of the caller"), (status = 412, description = "Changed since it was read")))]
async fn rename(
    State(service): Service,
    caller: Caller,
    Path(id): Path<ApiKeyId>,
    if_match: IfMatch,
    Patch(body): Patch<RenameApiKeyRequest>,
) -> Result<impl IntoResponse, Problem> {
    let reply = service
        .rename_api_key(&caller, id, &body.name, &if_match, |key| ApiKeyView::from(key))
        .await?;
    Ok(reply)
}

/// Revoke an API key
///
/// For ever; programs that use it are refused within seconds.
#[utoipa::path(delete, path = "/v1/api-keys/{key_id}", tag = "api-keys", operation_id = "revokeApiKey", params(("key_id" = ApiKeyId, Path)),
    responses((status = 204, description = "Revoked"), (status = 404, description = "No such key of the caller")))]
async fn revoke(State(service): Service, caller: Caller, Path(id): Path<ApiKeyId>) -> Result<StatusCode, Problem> {
    service.revoke_api_key(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
