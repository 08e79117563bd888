//! The OpenFeature Remote Evaluation Protocol (<https://github.com/open-feature/protocol>, `service/openapi.yaml`). Errors of an
//! evaluation have the protocol's form; what keeps a request from being evaluated at all (401, 403, 429, 5xx) is a problem as everywhere.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kernel::ids::WorkspaceId;
use kernel::{Error, Result};
use platform::Caller;
use platform::http::{Path, Problem};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::FlagsService;
use crate::model::{Context, ErrorCode, Failure};
use crate::service::evaluation::Evaluated;

/// Its own scope opens it to API keys.
const TAG: &str = "flag-evaluation";

type Service = State<Arc<FlagsService>>;

/// The flags of an installation are one set; telemetry of the SDKs shows its name.
const FLAG_SET: &str = "guildhall";

/// Whom to evaluate for.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "context": { "targetingKey": "user-42", "workspace_id": "0199b1f0-3c5d-7e42-9c53-3f6f7f0d2a12" } }))]
pub(super) struct OfrepRequest {
    #[schema(value_type = Option<OfrepContext>)]
    context: Option<Value>,
}

/// Anything else may be there and does not count.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described: what is wrong with it has the protocol's error codes")]
struct OfrepContext {
    /// Whom the flag is for, such as a person's id.
    #[schema(rename = "targetingKey", min_length = 1, max_length = 256, example = "user-42")]
    targeting_key: Option<String>,
    /// A workspace that the caller belongs to.
    workspace_id: Option<WorkspaceId>,
}

/// A value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "key": "new-editor", "value": true, "reason": "SPLIT", "variant": "on", "metadata": { "flagSetId": "guildhall", "version": 3 } }))]
pub(super) struct OfrepSuccess {
    key: String,
    /// Of the flag's kind.
    #[schema(value_type = serde_json::Value)]
    value: Value,
    /// `STATIC` (no rules), `TARGETING_MATCH`, `SPLIT` (by percentage), `DEFAULT` (no rule fits) or `DISABLED`.
    #[schema(example = "SPLIT")]
    reason: &'static str,
    #[schema(example = "on")]
    variant: String,
    metadata: OfrepMetadata,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OfrepMetadata {
    /// Always `guildhall`.
    #[serde(rename = "flagSetId")]
    #[schema(example = "guildhall")]
    flag_set_id: &'static str,
    /// Grows with every change of the flag.
    #[schema(minimum = 1)]
    version: i64,
}

/// Why there is no value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "key": "new-editor", "errorCode": "TARGETING_KEY_MISSING", "errorDetails": "The flag is given by percentage, which takes a targetingKey." }))]
pub(super) struct OfrepFailure {
    key: String,
    /// `FLAG_NOT_FOUND`, `PARSE_ERROR`, `TARGETING_KEY_MISSING` or `INVALID_CONTEXT`.
    #[serde(rename = "errorCode")]
    #[schema(example = "TARGETING_KEY_MISSING")]
    error_code: &'static str,
    #[serde(rename = "errorDetails")]
    error_details: &'static str,
}

/// Why nothing could be evaluated.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "errorCode": "INVALID_CONTEXT", "errorDetails": "workspace_id is no workspace of yours." }))]
pub(super) struct OfrepBulkFailure {
    /// `PARSE_ERROR` or `INVALID_CONTEXT`.
    #[serde(rename = "errorCode")]
    #[schema(example = "INVALID_CONTEXT")]
    error_code: &'static str,
    #[serde(rename = "errorDetails")]
    error_details: &'static str,
}

/// A value, or why there is none.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum OfrepOutcome {
    Success(OfrepSuccess),
    Failure(OfrepFailure),
}

/// All flags, by key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OfrepBulkSuccess {
    flags: Vec<OfrepOutcome>,
    metadata: OfrepSetMetadata,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OfrepSetMetadata {
    /// Always `guildhall`.
    #[serde(rename = "flagSetId")]
    #[schema(example = "guildhall")]
    flag_set_id: &'static str,
}

impl From<Evaluated> for OfrepOutcome {
    fn from(evaluated: Evaluated) -> Self {
        match evaluated.outcome {
            Ok(found) => Self::Success(OfrepSuccess {
                key: evaluated.key,
                value: found.value,
                reason: found.reason.as_str(),
                variant: found.variant,
                metadata: OfrepMetadata {
                    flag_set_id: FLAG_SET,
                    version: evaluated.version,
                },
            }),
            Err(failure) => Self::Failure(OfrepFailure {
                key: evaluated.key,
                error_code: failure.code.as_str(),
                error_details: failure.details,
            }),
        }
    }
}

const NO_OBJECT: Failure = Failure::new(ErrorCode::ParseError, "The body is no JSON object.");
const NO_CONTEXT: Failure = Failure::new(ErrorCode::InvalidContext, "context must be an object.");

/// The fields of the context.
fn fields(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    let body = body.trim_ascii_start();
    // serde would read a list as the fields in their order.
    if !body.starts_with(b"{") {
        return Err(NO_OBJECT);
    }
    let request: OfrepRequest = serde_json::from_slice(body).map_err(|_| NO_OBJECT)?;
    match request.context {
        None => Ok(Map::new()),
        Some(Value::Object(fields)) => Ok(fields),
        Some(_) => Err(NO_CONTEXT),
    }
}

async fn context(service: &FlagsService, caller: &Caller, body: &[u8]) -> Result<Result<Context, Failure>> {
    match fields(body) {
        Ok(fields) => service.read_context(caller, &fields).await,
        Err(failure) => Ok(Err(failure)),
    }
}

/// Evaluate a flag
///
/// The OpenFeature Remote Evaluation Protocol, for server-side providers. For anybody signed in, and for API keys with the scope
/// `flags:read`.
#[utoipa::path(post, path = "/ofrep/v1/evaluate/flags/{flag_key}", tag = TAG, operation_id = "evaluateFlag",
    params(("flag_key" = String, Path, description = "Key of the flag")), request_body = OfrepRequest,
    responses((status = 200, description = "The value", body = OfrepSuccess),
        (status = 400, description = "The request cannot be evaluated", body = OfrepFailure),
        (status = 404, description = "No such flag", body = OfrepFailure)))]
pub(super) async fn evaluate_flag(
    State(service): Service,
    caller: Caller,
    Path(key): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let evaluated = match context(&service, &caller, &body).await? {
        Ok(context) => service.evaluate_one(&key, &context).await?,
        Err(failure) => Evaluated {
            key,
            version: 0,
            outcome: Err(failure),
        },
    };
    let status = match &evaluated.outcome {
        Ok(_) => StatusCode::OK,
        Err(failure) if failure.code == ErrorCode::FlagNotFound => StatusCode::NOT_FOUND,
        Err(_) => StatusCode::BAD_REQUEST,
    };
    Ok((status, Json(OfrepOutcome::from(evaluated))).into_response())
}

/// Evaluate all flags
///
/// The OpenFeature Remote Evaluation Protocol, for client-side providers: poll with `If-None-Match`. A flag that cannot be evaluated for
/// this context has its error beside the values of the others.
#[utoipa::path(post, path = "/ofrep/v1/evaluate/flags", tag = TAG, operation_id = "evaluateFlags",
    params(("If-None-Match" = Option<String>, Header, description = "ETag of the values you hold; 304 when they are current.")),
    request_body = OfrepRequest,
    responses((status = 200, description = "The values", body = OfrepBulkSuccess, headers(("ETag" = String, description = "Changes with the values"))),
        (status = 304, description = "Your values are current."),
        (status = 400, description = "The request cannot be evaluated", body = OfrepBulkFailure)))]
pub(super) async fn evaluate_flags(State(service): Service, caller: Caller, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    let context = match context(&service, &caller, &body).await? {
        Ok(context) => context,
        Err(failure) => {
            let failure = OfrepBulkFailure {
                error_code: failure.code.as_str(),
                error_details: failure.details,
            };
            return Ok((StatusCode::BAD_REQUEST, Json(failure)).into_response());
        }
    };
    let evaluated = service.evaluate_all(&context).await?;
    let flags = evaluated.into_iter().map(OfrepOutcome::from).collect();
    let metadata = OfrepSetMetadata { flag_set_id: FLAG_SET };
    let values = serde_json::to_vec(&OfrepBulkSuccess { flags, metadata }).map_err(Error::internal)?;
    // Of the values themselves: what changed without changing them need not be fetched.
    let tag = format!("\"{}\"", HEXLOWER.encode(&Sha256::digest(&values)[..16]));
    let tags = [(header::ETAG, HeaderValue::from_str(&tag).map_err(Error::internal)?)];
    if is_held(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, tags).into_response());
    }
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((tags, kind, values).into_response())
}

/// Weak comparison (RFC 9110, 13.1.2).
fn is_held(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|held| held.trim().trim_start_matches("W/"))
        .any(|held| held == "*" || held == tag)
}
