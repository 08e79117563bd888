//! Places in the queue, time limit, panics, authentication and rates.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::{HeaderMap, header};
use kernel::{Actor, Error, ErrorKind};

use super::Edge;
use super::config::HttpConfig;
use super::edge::RequestMeta;
use super::extract::{Identified, Refused};
use super::inside::Paid;
use super::problem::Problem;
use crate::admission::Admission;
use crate::context::Caller;

/// The places of requests that are worked on, with a short queue.
pub(super) fn admission(config: &HttpConfig) -> Admission {
    Admission::new(
        config.max_in_flight,
        config.max_queued,
        Duration::from_millis(config.queue_timeout_ms),
    )
}

/// Whether the client takes what the route answers; only the API is strict.
pub(super) async fn accept(request: Request, next: Next) -> Response {
    if acceptable(request.uri().path(), request.headers()) {
        return next.run(request).await;
    }
    let detail = "This route answers JSON (live events: text/event-stream).";
    Problem(Error::new(ErrorKind::NotAcceptable, "request.not_acceptable", detail)).into_response()
}

/// A place, then the time limit. Both end when the response starts, so live streams hold neither.
pub(super) async fn limit(State(state): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    if matches!(request.uri().path(), "/livez" | "/readyz") {
        return next.run(request).await;
    }
    let Some(place) = state.admission.enter().await else {
        let busy = Error::new(
            ErrorKind::Unavailable,
            "service.overloaded",
            "The server is busy; try again shortly.",
        );
        return Problem(busy.with_retry_after(Duration::from_secs(1))).into_response();
    };
    let answer = tokio::time::timeout(Duration::from_secs(state.config.timeout_seconds), next.run(request)).await;
    drop(place);
    answer.unwrap_or_else(|_| {
        Problem(Error::new(
            ErrorKind::Timeout,
            "request.timeout",
            "The request took too long and was given up.",
        ))
        .into_response()
    })
}

/// A panic is a bug of ours: 500, and the process goes on.
pub(super) async fn catch_panic(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            Problem(Error::internal(format!("panic: {}", text.unwrap_or("unknown")))).into_response()
        }
    }
}

/// Finds out who calls, then asks the rate policy. The token comes from `Authorization` and nowhere else.
///
/// On a public route a bad token counts as none: whoever refreshes an expired session still sends the old header.
pub(super) async fn identify(State(state): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let Some(meta) = request.extensions().get::<RequestMeta>().cloned() else {
        return Problem(Error::internal("the edge layer is not installed")).into_response();
    };
    let mut caller = Caller {
        actor: Actor::Anonymous,
        request_id: meta.request_id,
        traceparent: Some(meta.traceparent),
        client_ip: meta.client_ip,
        user_agent: meta.user_agent,
        now: state.clock.now(),
        instance_admin: false,
        scopes: None,
        token_expires_at: None,
        idempotency: None,
    };
    let mut refused = None;
    if let Some(token) = bearer(&request) {
        match state.authenticator.authenticate(token, &caller.request_id).await {
            Ok(found) => {
                caller.actor = found.actor;
                caller.instance_admin = found.instance_admin;
                caller.token_expires_at = Some(found.expires_at);
                caller.scopes = found.scopes;
            }
            Err(error) if error.kind == ErrorKind::Unauthenticated => refused = Some(Refused::InvalidToken),
            Err(error) => {
                tracing::warn!(%error, "a token could not be checked");
                refused = Some(Refused::Unavailable);
            }
        }
    }
    if let Some(user_id) = caller.actor.user_id() {
        crate::telemetry::record_user(&tracing::Span::current(), user_id);
    }
    let paid = request.extensions().get::<Paid>().map_or(0, |paid| paid.0);
    let verdict = state.rate_limits.check(&caller.actor, caller.client_ip, request.uri(), paid);
    let mut response = match verdict.and_then(|verdict| verdict.refusal()) {
        Some(error) => Problem(error).into_response(),
        None => {
            // The rates count the key; what it is not good for it does as nobody.
            if let Some(scopes) = caller.scopes
                && let Err(why) = state.scopes.check(scopes, &request)
            {
                refused = Some(why);
                caller.actor = Actor::Anonymous;
            }
            request.extensions_mut().insert(Identified { caller, refused });
            next.run(request).await
        }
    };
    if let Some(verdict) = verdict {
        verdict.announce(response.headers_mut());
    }
    response
}

/// `Authorization: Bearer <token>`; the scheme's case does not matter (RFC 9110, 11.1).
fn bearer(request: &Request) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn acceptable(path: &str, headers: &HeaderMap) -> bool {
    if !path.starts_with("/v1/") && path != "/mcp" {
        return true;
    }
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    // No header, or an empty one, means anything (RFC 9110, 12.5.1).
    if values.peek().is_none_or(|value| value.is_empty()) {
        return true;
    }
    let kinds: &[&str] = if path == "/v1/events" {
        &["text/event-stream", "text/*", "*/*"]
    } else if path.starts_with("/v1/calendar/") {
        &["text/calendar", "text/*", "*/*"]
    } else if path.ends_with("/export") {
        &[
            "text/csv",
            "application/zip",
            "text/*",
            "application/json",
            "application/*",
            "*/*",
            "application/problem+json",
        ]
    } else {
        &["application/json", "application/*", "*/*", "application/problem+json"]
    };
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let refused = parts.any(|parameter| matches!(parameter.replace(' ', "").as_str(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
            !refused && kinds.contains(&kind.as_str())
        })
}
