//! Announces that a route goes away: `Deprecation` (RFC 9745), `Sunset` (RFC 8594), `Link`; then 410.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};
use kernel::{Clock, Error, ErrorKind, Timestamp};
use std::sync::Arc;

use super::problem::Problem;

pub const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
pub const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// Put it around a route with `axum::middleware::from_fn_with_state(deprecated, deprecation::layer)` and set
/// `deprecated` in its `utoipa::path`.
#[derive(Clone)]
pub struct Deprecated {
    /// Since when it should no longer be used.
    pub since: Timestamp,
    /// When it stops working; at least twelve months after `since`.
    pub sunset: Timestamp,
    /// What explains the change.
    pub documentation: &'static str,
    /// What to use instead.
    pub successor: Option<&'static str>,
    pub clock: Arc<dyn Clock>,
}

/// Adds the headers, or answers 410 once the sunset has passed. Counts calls per route.
pub async fn layer(State(notice): State<Deprecated>, request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<axum::extract::MatchedPath>()
        .map(|path| path.as_str().to_owned())
        .unwrap_or_default();
    metrics::counter!("http_deprecated_requests_total", "route" => route).increment(1);
    let mut response = if notice.clock.now() >= notice.sunset {
        Problem(Error::new(
            ErrorKind::Gone,
            "request.route_sunset",
            "This route is no longer available; see the Link header.",
        ))
        .into_response()
    } else {
        next.run(request).await
    };
    let mut links = vec![format!(
        "<{}>; rel=\"deprecation\"; type=\"text/html\", <{0}>; rel=\"sunset\"",
        notice.documentation
    )];
    links.extend(notice.successor.map(|path| format!("<{path}>; rel=\"successor-version\"")));
    // IMF-fixdate (RFC 9110, 5.6.7).
    let sunset = notice.sunset.to_jiff().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let since = format!("@{}", notice.since.as_seconds());
    for (name, value) in [(DEPRECATION, since), (SUNSET, sunset), (header::LINK, links.join(", "))] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body, middleware::from_fn_with_state, routing::get};
    use tower::ServiceExt;

    struct At(Timestamp);
    impl Clock for At {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    async fn ask(now: &str) -> Response {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let notice = Deprecated {
            since: at("2026-01-01T00:00:00Z"),
            sunset: at("2027-02-03T04:05:06Z"),
            documentation: "/docs/changes",
            successor: Some("/v2/things"),
            clock: Arc::new(At(at(now))),
        };
        let router = Router::new()
            .route("/v1/things", get(|| async { "ok" }))
            .layer(from_fn_with_state(notice, layer));
        router
            .oneshot(Request::get("/v1/things").body(Body::empty()).expect("a request"))
            .await
            .expect("an answer")
    }

    #[tokio::test]
    async fn announces_and_then_ends() {
        let before = ask("2026-06-01T00:00:00Z").await;
        assert_eq!(before.status(), 200);
        assert_eq!(before.headers()["deprecation"], "@1767225600");
        assert_eq!(before.headers()["sunset"], "Wed, 03 Feb 2027 04:05:06 GMT");
        let link = before.headers()["link"].to_str().expect("text");
        for rel in ["rel=\"deprecation\"", "rel=\"sunset\"", "</v2/things>; rel=\"successor-version\""] {
            assert!(link.contains(rel), "{link}");
        }
        let after = ask("2027-02-03T04:05:06Z").await;
        assert_eq!(after.status(), 410);
        assert!(after.headers().contains_key("link"));
    }
}
