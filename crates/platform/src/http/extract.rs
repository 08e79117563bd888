//! Extractors that answer with problem+json, and the reply of a command.

use axum::Json;
use axum::body::HttpBody as _;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kernel::scopes::Scope;
use kernel::{Error, ErrorKind, FieldError, Result};
use serde::de::DeserializeOwned;

use super::conditions::{Condition, condition, refuse_if_none_match};
use super::json::{parse_json, pointer_of, quoted};
use super::problem::{ACCEPTED, Problem};
use super::query::pairs;
use crate::context::Caller;
use crate::db::Reply;

/// A JSON body: 415 for another content type, 400 malformed, 413 too large, 422 with a pointer for a
/// wrong or unknown field (`#[serde(deny_unknown_fields)]` on the struct).
#[derive(Debug)]
pub struct Body<T>(pub T);

/// Like [`Body`], also accepts `application/merge-patch+json`. Members are [`super::Field`].
#[derive(Debug)]
pub struct Patch<T>(pub T);

/// Query parameters: 400 for unknown or unreadable ones (`#[serde(deny_unknown_fields)]`).
#[derive(Debug)]
pub struct Query<T>(pub T);

/// Path parameters; an id that is none is 404, as any unknown id.
#[derive(Debug)]
pub struct Path<T>(pub T);

/// Anybody, signed in or not.
#[derive(Debug)]
pub struct Visitor(pub Caller);

/// What the authentication layer found out about a request.
#[derive(Debug, Clone)]
pub(super) struct Identified {
    pub caller: Caller,
    /// Why a token that was sent is no good.
    pub refused: Option<Refused>,
}

/// A refusal that can be cloned into request extensions.
#[derive(Debug, Clone, Copy)]
pub(super) enum Refused {
    InvalidToken,
    /// The check itself could not be made.
    Unavailable,
    /// A good API key, but this route is not for keys.
    KeyNotAllowed,
    /// A good API key without this scope.
    ScopeMissing(Scope),
}

fn identified(parts: &Parts) -> Result<&Identified, Problem> {
    let missing = || Problem(Error::internal("the authentication layer is not installed"));
    parts.extensions.get::<Identified>().ok_or_else(missing)
}

fn caller_with_slot(parts: &Parts, caller: &Caller) -> Caller {
    Caller {
        idempotency: parts.extensions.get().cloned(),
        ..caller.clone()
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let found = identified(parts)?;
        match found.refused {
            Some(Refused::InvalidToken) => Err(Problem(Error::unauthenticated(
                "auth.token_invalid",
                "The access token or API key is invalid or has expired.",
            ))),
            Some(Refused::KeyNotAllowed) => Err(Problem(Error::forbidden(
                "auth.api_key_refused",
                "This cannot be done with an API key; sign in.",
            ))),
            Some(Refused::ScopeMissing(scope)) => Err(Problem(
                Error::new(
                    ErrorKind::Forbidden,
                    "auth.scope_missing",
                    format!("The API key lacks the scope {scope}."),
                )
                .with_extension("scope", scope.as_str().into()),
            )),
            Some(Refused::Unavailable) => Err(Problem(Error::unavailable(std::time::Duration::from_secs(2)))),
            None => {
                // Who must sign in first is told that first (RFC 9110, 13.2.1).
                found.caller.user_id()?;
                refuse_if_none_match(&parts.method, &parts.headers)?;
                Ok(caller_with_slot(parts, &found.caller))
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let found = identified(parts)?;
        Ok(Self(caller_with_slot(parts, &found.caller)))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        read_json(request, state, &["application/json"]).await.map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Patch<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        read_json(request, state, &["application/merge-patch+json", "application/json"])
            .await
            .map(Self)
    }
}

/// A JSON body that may be left out, for requests whose every member is optional.
#[derive(Debug)]
pub struct OptionalBody<T>(pub Option<T>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if request.body().size_hint().exact() == Some(0) {
            return Ok(Self(None));
        }
        read_json(request, state, &["application/json"]).await.map(Self)
    }
}

async fn read_json<S: Send + Sync, T: DeserializeOwned>(request: Request, state: &S, accepted: &[&str]) -> Result<T, Problem> {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut parts = content_type.split(';').map(|part| part.trim().to_ascii_lowercase());
    let essence = parts.next().unwrap_or_default();
    // JSON is UTF-8 (RFC 8259, 8.1); a sender that claims another charset would be misread.
    let other_charset = parts.any(|part| part.strip_prefix("charset=").is_some_and(|name| name.trim_matches('"') != "utf-8"));
    // We unpack nothing: a small body that grows large is an attack.
    let packed = request
        .headers()
        .get(header::CONTENT_ENCODING)
        .is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    if other_charset || packed || !accepted.contains(&essence.as_str()) {
        let detail = format!("Send the body as {}, in UTF-8 and not compressed.", accepted.join(" or "));
        let error = Error::new(ErrorKind::UnsupportedMediaType, "request.unsupported_media_type", detail);
        return Err(error.with_extension(ACCEPTED, accepted.into()).into());
    }
    let bytes = bytes::Bytes::from_request(request, state).await.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            too_large()
        } else {
            Error::malformed("request.body_unreadable", "The body could not be read to its end.")
        }
    })?;
    parse_json(&bytes).map_err(Problem)
}

/// 413.
pub(super) fn too_large() -> Error {
    Error::new(
        ErrorKind::TooLarge,
        "request.too_large",
        "The body is larger than this server accepts.",
    )
}

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parse_query(parts.uri.query().unwrap_or_default()).map(Self).map_err(Problem)
    }
}

/// 400 for what a query parameter says.
pub fn query_error(name: &str, code: &'static str, detail: impl Into<String>) -> Error {
    Error {
        fields: vec![FieldError::new(format!("#query/{name}"), code, detail.into())],
        ..Error::malformed("request.query_invalid", "A query parameter is not acceptable; see errors.")
    }
}

pub(super) fn unknown_parameter(name: &str) -> Error {
    query_error(name, "unknown_parameter", "is not a known query parameter")
}

/// Reads a query string as [`Query`] does; also for one that was saved.
pub fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T> {
    let mut seen = std::collections::HashSet::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if value.contains(['\0', char::REPLACEMENT_CHARACTER]) || name.contains('\0') {
            return Err(query_error(&name, "control_character", "must be UTF-8 without U+0000"));
        }
        if !seen.insert(name.to_string()) {
            return Err(query_error(&name, "duplicate", "must be given once"));
        }
    }
    serde_path_to_error::deserialize(pairs(query)).map_err(|error| {
        let text = error.inner().to_string();
        if let Some(name) = quoted(&text, "unknown field `") {
            unknown_parameter(name)
        } else if let Some(name) = quoted(&text, "missing field `") {
            query_error(name, "required", "is required")
        } else {
            query_error(pointer_of(error.path()).trim_start_matches('/'), "invalid", text)
        }
    })
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let missing = || Problem(Error::not_found("request.not_found", "Nothing is here that you can see."));
        let raw = RawPathParams::from_request_parts(parts, state).await.map_err(|_| missing())?;
        if raw.iter().any(|(_, value)| value.contains('\0')) {
            return Err(missing());
        }
        axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map(|path| Self(path.0))
            .map_err(|_| missing())
    }
}

/// The `If-Match` header; 400 when it is none.
#[derive(Debug, Clone)]
pub struct IfMatch {
    /// `None`: no header.
    condition: Option<Condition>,
}

impl IfMatch {
    /// What no request could have brought to a handler names nothing.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let nothing = Condition::Tags(Vec::new());
        Self {
            condition: condition(headers, &header::IF_MATCH).unwrap_or(Some(nothing)),
        }
    }

    /// 428 when the header is absent.
    pub fn require(&self) -> Result<()> {
        if self.condition.is_some() {
            return Ok(());
        }
        let detail = "Send If-Match with the ETag you read, so that you do not overwrite somebody else's change.";
        Err(Error::new(ErrorKind::PreconditionRequired, "request.if_match_required", detail))
    }

    /// 412 when the header is there and does not name `version`.
    pub fn check(&self, version: i64) -> Result<()> {
        let current = version.to_string();
        let met = match &self.condition {
            None | Some(Condition::Anything) => true,
            // A weak tag never matches strongly (RFC 9110, 8.8.3.2).
            Some(Condition::Tags(tags)) => tags.iter().any(|tag| !tag.weak && tag.opaque == current.as_bytes()),
        };
        if met { Ok(()) } else { Err(crate::db::Guard::VERSION.into()) }
    }

    /// Where nothing is there yet: 412 when the header is there at all, for no tag fits and `*` asks for something that
    /// exists (RFC 9110, 13.1.1).
    pub fn check_absent(&self) -> Result<()> {
        if self.condition.is_none() {
            return Ok(());
        }
        let guard = crate::db::Guard::VERSION;
        Err(Error::new(guard.kind, guard.code, guard.detail))
    }

    /// [`IfMatch::require`] when `required`, then [`IfMatch::check`].
    pub fn check_or_require(&self, version: i64, required: bool) -> Result<()> {
        if required {
            self.require()?;
        }
        self.check(version)
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let condition = condition(&parts.headers, &header::IF_MATCH)?;
        Ok(Self { condition })
    }
}

/// The strong ETag of a row version.
pub fn etag(version: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"0\""))
}

impl<T: serde::Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let mut response = (status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        if let Some(version) = self.version {
            headers.insert(header::ETAG, etag(version));
        }
        if let Some(location) = self.location.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(header::LOCATION, location);
        }
        response
    }
}
