//! The one error every service call returns. Public text and internal cause are separate fields.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as a closed set; the HTTP status follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request is not understandable: malformed JSON, unknown query parameter. 400.
    Malformed,
    /// Understandable but not acceptable: field errors. 422.
    Invalid,
    Unauthenticated,
    Forbidden,
    NotFound,
    /// A rule of the current state forbids it. 409.
    Conflict,
    /// The version the caller holds is not the current one. 412.
    Precondition,
    /// The route demands `If-Match`. 428.
    PreconditionRequired,
    /// Once there, now for ever gone (an expired or used link). 410.
    Gone,
    TooLarge,
    UnsupportedMediaType,
    NotAcceptable,
    MethodNotAllowed,
    RateLimited,
    /// A peer or the database is away; worth a retry. 503.
    Unavailable,
    Timeout,
    /// The sender was too slow. 408.
    RequestTimeout,
    UriTooLong,
    HeadersTooLarge,
    Internal,
}

impl ErrorKind {
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Invalid => 422,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Precondition => 412,
            Self::PreconditionRequired => 428,
            Self::Gone => 410,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::NotAcceptable => 406,
            Self::MethodNotAllowed => 405,
            Self::RateLimited => 429,
            Self::Unavailable => 503,
            Self::Timeout => 504,
            Self::RequestTimeout => 408,
            Self::UriTooLong => 414,
            Self::HeadersTooLarge => 431,
            Self::Internal => 500,
        }
    }

    /// The human title of the problem type.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Malformed => "Malformed request",
            Self::Invalid => "Validation failed",
            Self::Unauthenticated => "Authentication required",
            Self::Forbidden => "Not allowed",
            Self::NotFound => "Not found",
            Self::Conflict => "Conflict with the current state",
            Self::Precondition => "The resource has changed",
            Self::PreconditionRequired => "If-Match is required",
            Self::Gone => "No longer available",
            Self::TooLarge => "Content too large",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::NotAcceptable => "Not acceptable",
            Self::MethodNotAllowed => "Method not allowed",
            Self::RateLimited => "Too many requests",
            Self::Unavailable => "Temporarily unavailable",
            Self::Timeout => "Timed out",
            Self::RequestTimeout => "Request arrived too slowly",
            Self::UriTooLong => "URI too long",
            Self::HeadersTooLarge => "Header fields too large",
            Self::Internal => "Internal error",
        }
    }
}

/// One field that could not be accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FieldError {
    /// JSON Pointer (RFC 6901) into the request body, or `#query/name` for a query parameter.
    #[schema(example = "/title")]
    pub pointer: String,
    /// Stable, machine-readable.
    #[schema(example = "too_long")]
    pub code: Cow<'static, str>,
    #[schema(example = "must be at most 500 characters")]
    pub detail: String,
}

impl FieldError {
    pub fn new(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            code: Cow::Borrowed(code),
            detail: detail.into(),
        }
    }

    /// `null` where a member may be left out but not be cleared.
    pub fn not_null(pointer: impl Into<String>) -> Self {
        Self::new(pointer, "not_null", "must not be null")
    }
}

/// An error on its way to a caller. `detail` and `fields` are public; `cause` is only logged.
#[derive(Debug)]
pub struct Error {
    pub kind: ErrorKind,
    /// Stable code such as `tasks.task.not_found`; clients branch on it.
    pub code: Cow<'static, str>,
    /// Public sentence.
    pub detail: Cow<'static, str>,
    pub fields: Vec<FieldError>,
    /// For `Retry-After`.
    pub retry_after: Option<Duration>,
    /// Further public members of the problem document (RFC 9457, 3.2), such as what stands in the way.
    pub extensions: Option<Box<serde_json::Map<String, serde_json::Value>>>,
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub fn new(kind: ErrorKind, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            code: Cow::Borrowed(code),
            detail: detail.into(),
            fields: Vec::new(),
            retry_after: None,
            extensions: None,
            cause: None,
        }
    }
    /// 422 with field errors.
    pub fn invalid(fields: Vec<FieldError>) -> Self {
        Self {
            fields,
            ..Self::new(
                ErrorKind::Invalid,
                "request.invalid",
                "One or more fields are not acceptable; see errors.",
            )
        }
    }
    /// 422 with one field error.
    pub fn invalid_field(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError::new(pointer, code, detail)])
    }
    pub fn malformed(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Malformed, code, detail)
    }
    pub fn unauthenticated(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unauthenticated, code, detail)
    }
    pub fn forbidden(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Forbidden, code, detail)
    }
    pub fn not_found(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::NotFound, code, detail)
    }
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Conflict, code, detail)
    }
    pub fn unavailable(retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(
                ErrorKind::Unavailable,
                "service.unavailable",
                "The service cannot answer right now; try again shortly.",
            )
        }
    }
    /// 503 of its own code: people can wait for the operator to make room, and whoever watches the answers knows what to do.
    pub fn storage_full() -> Self {
        Self {
            retry_after: Some(Duration::from_secs(30)),
            ..Self::new(
                ErrorKind::Unavailable,
                "service.storage_full",
                "The server has no room left to store this, and nothing was changed; reading still works.",
            )
        }
    }
    /// 500: the caller learns nothing but the request id; the cause is logged once at the boundary.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::new(ErrorKind::Internal, "internal", "Something went wrong on our side.")
        }
    }
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }
    /// Adds a member to the problem document; not one of those that every problem has.
    #[must_use]
    pub fn with_extension(mut self, name: &str, value: serde_json::Value) -> Self {
        self.extensions.get_or_insert_default().insert(name.to_owned(), value);
        self
    }
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)?;
        for field in &self.fields {
            write!(f, "; {} {}", field.pointer, field.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}
