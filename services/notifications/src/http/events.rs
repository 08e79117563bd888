//! `/v1/events`: server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use contracts::PublicEvent;
use futures_util::stream;
use http::header::{CACHE_CONTROL, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use kernel::ids::WorkspaceId;
use platform::Caller;
use platform::http::{Problem, Query as QueryString};
use serde::Deserialize;

use super::TAG;
use crate::error::NotificationsError;
use crate::service::streams::{EventStream, Frame};
use crate::{Config, NotificationsService};

const LAST_EVENT_ID: &str = "last-event-id";
/// What a browser waits before it connects again.
const RETRY: Duration = Duration::from_secs(3);

/// Which stream, from where.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamParams {
    /// The workspace to watch.
    workspace_id: WorkspaceId,
    /// For clients that cannot send the `Last-Event-ID` header, which wins.
    last_event_id: Option<String>,
}

/// Watch a workspace live
///
/// A stream of server-sent events that the caller may see. `event` is the type, such as `task.created`; `data` is a CloudEvents 1.0
/// JSON object (schema `PublicEvent`); `id` is an opaque position. Besides those there are
///
/// - `ready`: the first message, when the stream stands;
/// - `reset`: instead of `ready`, when `Last-Event-ID` is unknown or too old: load everything again, events go on from here;
/// - `end`: the last message, with `{"reason": "access_lost" | "expired" | "restart"}`; come back with a fresh token unless access was lost;
/// - a comment every few seconds when there is nothing to say.
///
/// Reconnect with the `Last-Event-ID` header (browsers and most libraries do) to receive what was missed. Delivery is at least
/// once: drop repeats by the `id` inside `data`. A client that does not read is disconnected. `notification.created` comes only to
/// the person it belongs to. A browser must come from an allowed origin.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = TAG,
    operation_id = "streamEvents",
    params(
        StreamParams,
        ("Last-Event-ID" = Option<String>, Header, description = "`id` of the last event the client has seen.")
    ),
    responses(
        (status = 200, description = "Events until one side ends it.", content_type = "text/event-stream", body = PublicEvent),
        (status = 403, description = "The browser's origin is not allowed."),
        (status = 404, description = "No such workspace of the caller.")
    )
)]
pub(crate) async fn stream_events(
    State(service): State<Arc<NotificationsService>>,
    caller: Caller,
    headers: HeaderMap,
    QueryString(params): QueryString<StreamParams>,
) -> Result<Response, Problem> {
    if !origin_allowed(&headers, &service.config) {
        return Err(Problem(NotificationsError::OriginNotAllowed.into()));
    }
    let from_header = headers.get(LAST_EVENT_ID).map(|value| value.to_str().unwrap_or("?").to_owned());
    let last_event_id = from_header.or(params.last_event_id).filter(|id| !id.is_empty());
    let events = service.open_stream(caller, params.workspace_id, last_event_id.as_deref()).await?;
    let body = stream::unfold(events, |mut events: EventStream| async move {
        let frame = events.next().await?;
        Some((Ok::<_, Infallible>(render(&frame)), events))
    });
    Ok((
        [
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            // Proxies such as nginx would hold events back.
            (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        ],
        Sse::new(body),
    )
        .into_response())
}

fn render(frame: &Frame) -> Event {
    match frame {
        Frame::Ready { id } => Event::default().retry(RETRY).id(id.to_string()).event("ready").data("{}"),
        Frame::Reset { id } => Event::default().retry(RETRY).id(id.to_string()).event("reset").data("{}"),
        // The envelope is JSON on one line.
        Frame::Event(entry) => Event::default()
            .id(entry.seq.to_string())
            .event(&entry.event_type)
            .data(&entry.envelope),
        Frame::Heartbeat => Event::default().comment("still here"),
        Frame::End(reason) => Event::default().event("end").data(format!(r#"{{"reason":"{}"}}"#, reason.as_str())),
    }
}

/// Browsers name the page's origin; a foreign page must not watch with the reader's credentials (ASVS 5.0, 4.4.2).
/// Programs send no `Origin`; same-origin pages need no entry in the allow-list.
fn origin_allowed(headers: &HeaderMap, config: &Config) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let Some(origin) = origin.to_str().ok().map(str::to_ascii_lowercase) else {
        return false;
    };
    let listed = std::iter::once(&config.public_url)
        .chain(&config.allowed_origins)
        .filter_map(|url| origin_of(url))
        .any(|allowed| allowed == origin);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_ascii_lowercase);
    listed || host.is_some_and(|host| origin == format!("http://{host}") || origin == format!("https://{host}"))
}

/// Scheme and authority in lower case.
fn origin_of(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    Some(format!("{scheme}://{authority}").to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(origin: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("api.example.com"))]);
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
        }
        headers
    }

    #[test]
    fn sec_27_a_stream_opens_only_to_known_origins() {
        let config = Config {
            public_url: "https://Guildhall.example.com/".into(),
            allowed_origins: vec!["https://app.example.com".into()],
            ..Config::default()
        };
        for allowed in [
            None,
            Some("https://app.example.com"),
            Some("https://guildhall.example.com"),
            Some("https://api.example.com"),
        ] {
            assert!(origin_allowed(&headers(allowed), &config), "{allowed:?}");
        }
        for refused in [
            "null",
            "https://evil.example.com",
            "https://app.example.com.evil.com",
            "http://app.example.com",
            "https://app.example.com:8443",
        ] {
            assert!(!origin_allowed(&headers(Some(refused)), &config), "{refused}");
        }
    }
}
