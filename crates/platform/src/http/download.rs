//! Files that are made while they are sent.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, TryStreamExt};
use http::header;
use kernel::Error;

/// A file to be saved under `name` (plain letters, digits, `-` and `.`), which no cache keeps. What may be wrong before the
/// first part should be found before: once the answer has begun, an error can only end the connection.
pub fn download<B: Into<Bytes> + 'static>(
    content_type: &'static str,
    name: &str,
    parts: impl Stream<Item = Result<B, Error>> + Send + 'static,
) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    let parts = parts
        .map_ok(Into::into)
        .inspect_err(|error| tracing::warn!(code = %error.code, cause = ?error.cause, "an export broke off"));
    (headers, Body::from_stream(parts)).into_response()
}
