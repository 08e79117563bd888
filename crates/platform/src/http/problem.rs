//! Errors as `application/problem+json` (RFC 9457).

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use kernel::{Error, ErrorKind, FieldError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `kernel::Error` as a response.
#[derive(Debug)]
pub struct Problem(pub Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}
impl From<crate::db::DbError> for Problem {
    fn from(error: crate::db::DbError) -> Self {
        Self(error.into())
    }
}

/// The document of every error answer (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem, title = "Problem")]
pub struct ProblemDocument {
    /// URI reference of the problem type; it resolves to a description.
    #[schema(example = "/problems/validation-failed")]
    pub r#type: String,
    #[schema(example = "Validation failed")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 422, minimum = 400, maximum = 599)]
    pub status: u16,
    /// What happened this time, for people.
    #[schema(example = "One or more fields are not acceptable; see errors.")]
    pub detail: String,
    /// The path that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/v1/tasks")]
    pub instance: Option<String>,
    /// Stable code to branch on.
    #[schema(example = "request.invalid")]
    pub code: String,
    /// Name it when you ask for help; the same as in `X-Request-Id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0198c1f2a7c47d0b9a35e3a1c4f0b6d2")]
    pub request_id: Option<String>,
    /// One entry per field that is not acceptable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Members that only this `code` has; its route describes them.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extensions: serde_json::Map<String, serde_json::Value>,
}

/// The member of a 415 that lists what is taken, for `Accept` and `Accept-Patch`.
pub(super) const ACCEPTED: &str = "accepted";

/// Slug of the problem type; `/problems/<slug>` describes it.
pub const fn problem_type(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Malformed => "malformed-request",
        ErrorKind::Invalid => "validation-failed",
        ErrorKind::Unauthenticated => "authentication-required",
        ErrorKind::Forbidden => "not-allowed",
        ErrorKind::NotFound => "not-found",
        ErrorKind::Conflict => "conflict",
        ErrorKind::Precondition => "precondition-failed",
        ErrorKind::PreconditionRequired => "precondition-required",
        ErrorKind::Gone => "gone",
        ErrorKind::TooLarge => "content-too-large",
        ErrorKind::UnsupportedMediaType => "unsupported-media-type",
        ErrorKind::NotAcceptable => "not-acceptable",
        ErrorKind::MethodNotAllowed => "method-not-allowed",
        ErrorKind::RateLimited => "quota-exceeded",
        ErrorKind::Unavailable => "temporary-reduced-capacity",
        ErrorKind::Timeout => "timeout",
        ErrorKind::RequestTimeout => "request-timeout",
        ErrorKind::UriTooLong => "uri-too-long",
        ErrorKind::HeadersTooLarge => "headers-too-large",
        ErrorKind::Internal => "internal-error",
    }
}

/// Every kind with what a client should do about it; the text behind `/problems/{type}`.
pub const PROBLEM_TYPES: &[(ErrorKind, &str)] = &[
    (
        ErrorKind::Malformed,
        "The request cannot be understood: malformed JSON, an unknown or unreadable query parameter, a stale cursor. Correct it; repeating it will not help.",
    ),
    (
        ErrorKind::Invalid,
        "The request is understood, but fields are not acceptable. `errors` names each by JSON Pointer with a stable code.",
    ),
    (
        ErrorKind::Unauthenticated,
        "No valid access token. Sign in, or refresh the token, and repeat.",
    ),
    (ErrorKind::Forbidden, "You are known, but your role does not allow this."),
    (ErrorKind::NotFound, "Nothing is here that you can see."),
    (ErrorKind::Conflict, "The present state does not allow it; `code` says why."),
    (
        ErrorKind::Precondition,
        "The resource has changed since you read it. Read it again and repeat the change.",
    ),
    (
        ErrorKind::PreconditionRequired,
        "This change needs an `If-Match` header with the ETag you read.",
    ),
    (
        ErrorKind::Gone,
        "It was here once: the link or operation has been used or has expired.",
    ),
    (ErrorKind::TooLarge, "The body is larger than this server accepts."),
    (ErrorKind::UnsupportedMediaType, "Send JSON: `Content-Type: application/json`."),
    (
        ErrorKind::NotAcceptable,
        "This route cannot answer in a format that your `Accept` header allows.",
    ),
    (
        ErrorKind::MethodNotAllowed,
        "The route exists, but not with this method; `Allow` lists those it has.",
    ),
    (ErrorKind::RateLimited, "Too many requests. Wait as long as `Retry-After` says."),
    (
        ErrorKind::Unavailable,
        "The server or something it needs is busy or away. Wait as long as `Retry-After` says and repeat.",
    ),
    (
        ErrorKind::Timeout,
        "It took too long and was given up. It may be worth a repeat; use an `Idempotency-Key`.",
    ),
    (
        ErrorKind::RequestTimeout,
        "The body of the request did not arrive in time. Nothing was done; send it again.",
    ),
    (ErrorKind::UriTooLong, "The path with its query is longer than this server accepts."),
    (
        ErrorKind::HeadersTooLarge,
        "The header fields are more or larger than this server accepts.",
    ),
    (
        ErrorKind::Internal,
        "Something went wrong on the server. Nothing of the request was kept. Report the request id.",
    ),
];

/// Travels as a response extension to the outermost layer, which knows request id and path.
#[derive(Clone)]
pub(super) struct ProblemParts {
    pub error: Arc<Error>,
}

impl ProblemParts {
    pub fn document(&self, instance: Option<String>, request_id: Option<String>) -> ProblemDocument {
        let error = &self.error;
        ProblemDocument {
            r#type: format!("/problems/{}", problem_type(error.kind)),
            title: error.kind.title().to_owned(),
            status: error.kind.http_status(),
            // Of our own failures the caller learns the kind and the request id; the log has the rest.
            detail: match error.kind {
                ErrorKind::Internal => "Something went wrong on our side.".to_owned(),
                _ => error.detail.to_string(),
            },
            instance,
            code: error.code.to_string(),
            request_id,
            errors: error.fields.clone(),
            extensions: error.extensions.as_deref().cloned().unwrap_or_default(),
        }
    }

    /// Status, headers and body; the layer calls it again with the request id.
    pub fn render(&self, instance: Option<String>, request_id: Option<String>) -> Response {
        let document = self.document(instance, request_id);
        let status = StatusCode::from_u16(document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(HttpBody::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(after) = self.error.retry_after.or_else(|| default_retry_after(self.error.kind)) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after_seconds(after)));
        }
        if self.error.kind == ErrorKind::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, challenge(&self.error.code));
        }
        if self.error.code == "auth.scope_missing" {
            let challenge = HeaderValue::from_static(r#"Bearer realm="guildhall", error="insufficient_scope""#);
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(accepted) = self.accepted() {
            // RFC 5789, 2.2 and 3.1: the formats of patches have a header of their own.
            let patches = accepted.as_bytes().starts_with(b"application/merge-patch+json");
            if patches {
                headers.insert(HeaderName::from_static("accept-patch"), accepted.clone());
            }
            headers.insert(header::ACCEPT, accepted);
        }
        response
    }

    /// What a 415 would have taken (RFC 9110, 15.5.16).
    fn accepted(&self) -> Option<HeaderValue> {
        let kinds = self.error.extensions.as_ref()?.get(ACCEPTED)?.as_array()?;
        let kinds: Vec<&str> = kinds.iter().filter_map(serde_json::Value::as_str).collect();
        HeaderValue::from_str(&kinds.join(", ")).ok()
    }
}

fn default_retry_after(kind: ErrorKind) -> Option<Duration> {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::RateLimited).then_some(Duration::from_secs(1))
}

/// Whole seconds, rounded up, at least one.
pub(super) fn retry_after_seconds(after: Duration) -> u64 {
    (after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1)
}

/// RFC 6750: a request without a token gets the bare challenge.
fn challenge(code: &str) -> HeaderValue {
    if code == "auth.token_invalid" {
        HeaderValue::from_static(r#"Bearer realm="guildhall", error="invalid_token""#)
    } else {
        HeaderValue::from_static(r#"Bearer realm="guildhall""#)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let parts = ProblemParts { error: Arc::new(self.0) };
        let mut response = parts.render(None, None);
        response.extensions_mut().insert(parts);
        response
    }
}
