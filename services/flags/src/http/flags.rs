//! `/v1/flags`: for those who manage the installation.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use kernel::cursor::{Page, PageRequest};
use kernel::{Error, FieldError, Result};
use platform::Caller;
use platform::http::{Body, Field, IfMatch, Patch, Path, Problem, Query as QueryString};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::FlagsService;
use crate::model::{FlagKind, FlagRule};
use crate::service::admin::{CreateFlag, UpdateFlag};
use crate::service::views::FlagView;

/// No scope opens it to API keys.
const TAG: &str = "flags";
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

type Service = State<Arc<FlagsService>>;

const fn enabled() -> bool {
    true
}

/// A new flag.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "key": "new-editor", "kind": "boolean", "description": "The editor of 2027",
    "rules": [{ "split": [{ "variant": "on", "percent": 25.0 }, { "variant": "off", "percent": 75.0 }], "bucket_by": "workspace" }]
}))]
pub(super) struct CreateFlagRequest {
    /// Never changes, and is what programs ask for.
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    key: String,
    /// Never changes.
    kind: FlagKind,
    /// One line.
    #[schema(max_length = 500, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    description: Option<String>,
    /// True when left out.
    #[serde(default = "enabled")]
    enabled: bool,
    /// Values by name, each of the flag's kind. A boolean flag has `on` and `off` when left out.
    #[schema(value_type = Option<Object>)]
    variants: Option<Map<String, Value>>,
    /// For whom no rule is, and for everybody while the flag is disabled. `off` of a boolean flag without variants of its own.
    default_variant: Option<String>,
    /// The first that fits counts.
    #[serde(default)]
    #[schema(max_items = 50)]
    rules: Vec<FlagRule>,
}

/// A merge patch (RFC 7396): what is left out stays. `variants` and `rules` are replaced as a whole.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "enabled": false }))]
pub(super) struct UpdateFlagRequest {
    #[schema(value_type = Option<String>, max_length = 500, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    #[serde(default)]
    description: Field<String>,
    #[schema(value_type = Option<bool>, nullable = false)]
    #[serde(default)]
    enabled: Field<bool>,
    #[schema(value_type = Option<Object>, nullable = false)]
    #[serde(default)]
    variants: Field<Map<String, Value>>,
    #[schema(value_type = Option<String>, nullable = false)]
    #[serde(default)]
    default_variant: Field<String>,
    #[schema(value_type = Option<Vec<FlagRule>>, nullable = false, max_items = 50)]
    #[serde(default)]
    rules: Field<Vec<FlagRule>>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListFlagsQuery {
    /// Page size.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(max_length = 2048)]
    cursor: Option<String>,
}

/// List feature flags
///
/// By key. For administrators of the installation, as everything about making flags.
#[utoipa::path(get, path = "/v1/flags", tag = TAG, operation_id = "listFlags", params(ListFlagsQuery),
    responses((status = 200, description = "A page", body = Page<FlagView>)))]
pub(super) async fn list_flags(
    State(service): Service,
    caller: Caller,
    QueryString(query): QueryString<ListFlagsQuery>,
) -> Result<impl IntoResponse, Problem> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem(Error {
            fields: vec![FieldError::new("#query/limit", "out_of_range", "must be between 1 and 200")],
            ..Error::malformed("request.query_invalid", "The query parameter limit must be between 1 and 200.")
        }));
    }
    let page = PageRequest {
        limit,
        cursor: query.cursor,
    };
    Ok(Json(service.list_flags(&caller, page).await?))
}

/// Make a feature flag
///
/// It counts in this process at once, in other replicas within five seconds.
#[utoipa::path(post, path = "/v1/flags", tag = TAG, operation_id = "createFlag", request_body = CreateFlagRequest,
    responses((status = 201, description = "Made", body = FlagView),
        (status = 409, description = "The key is taken, or there are 500 flags already"),
        (status = 422, description = "A value is not of the flag's kind, a rule names an unknown variant, or another field is not acceptable")))]
pub(super) async fn create_flag(
    State(service): Service,
    caller: Caller,
    Body(body): Body<CreateFlagRequest>,
) -> Result<impl IntoResponse, Problem> {
    let command = CreateFlag {
        key: body.key,
        kind: body.kind,
        description: body.description,
        enabled: body.enabled,
        variants: body.variants,
        default_variant: body.default_variant,
        rules: body.rules,
    };
    Ok(service.create_flag(&caller, command).await?)
}

/// Read a feature flag
#[utoipa::path(get, path = "/v1/flags/{flag_key}", tag = TAG, operation_id = "getFlag",
    params(("flag_key" = String, Path, description = "Key of the flag")),
    responses((status = 200, description = "The flag", body = FlagView, headers(("ETag" = String, description = "Version of the body"))),
        (status = 404, description = "No such flag")))]
pub(super) async fn get_flag(State(service): Service, caller: Caller, Path(key): Path<String>) -> Result<impl IntoResponse, Problem> {
    Ok(service.get_flag(&caller, &key).await?)
}

/// Change a feature flag
///
/// Everybody whom a growing share takes in keeps what they have.
#[utoipa::path(patch, path = "/v1/flags/{flag_key}", tag = TAG, operation_id = "updateFlag",
    params(("flag_key" = String, Path, description = "Key of the flag")),
    request_body(content((UpdateFlagRequest = "application/merge-patch+json"), (UpdateFlagRequest = "application/json"))),
    responses((status = 200, description = "Changed", body = FlagView, headers(("ETag" = String, description = "Version of the body"))),
        (status = 404, description = "No such flag"), (status = 412, description = "Changed since it was read"),
        (status = 422, description = "A value is not of the flag's kind, a rule names an unknown variant, or another field is not acceptable"),
        (status = 428, description = "If-Match is missing")))]
pub(super) async fn update_flag(
    State(service): Service,
    caller: Caller,
    Path(key): Path<String>,
    if_match: IfMatch,
    Patch(body): Patch<UpdateFlagRequest>,
) -> Result<impl IntoResponse, Problem> {
    let command = UpdateFlag {
        description: body.description,
        enabled: body.enabled,
        variants: body.variants,
        default_variant: body.default_variant,
        rules: body.rules,
    };
    Ok(service.update_flag(&caller, &key, &if_match, command).await?)
}

/// Delete a feature flag
///
/// Programs that ask for it fall back to the default in their code.
#[utoipa::path(delete, path = "/v1/flags/{flag_key}", tag = TAG, operation_id = "deleteFlag",
    params(("flag_key" = String, Path, description = "Key of the flag")),
    responses((status = 204, description = "Deleted"), (status = 404, description = "No such flag"),
        (status = 412, description = "Changed since it was read"), (status = 428, description = "If-Match is missing")))]
pub(super) async fn delete_flag(
    State(service): Service,
    caller: Caller,
    Path(key): Path<String>,
    if_match: IfMatch,
) -> Result<impl IntoResponse, Problem> {
    service.delete_flag(&caller, &key, &if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}
