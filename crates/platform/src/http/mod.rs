//! The HTTP kit: everything a handler needs, and every rule that holds for all routes.
//!
//! A request walks: connection limits ([`server`]) → compression → edge (`edge`: request id, log, metrics, headers, problem
//! rendering) → CORS → panics → the whole body within bounds (`receive`) → place in the queue and time limit →
//! authentication and rates (`guard`) → `Idempotency-Key` → unknown query parameters → [`rerun`] → handler.

pub mod auth;
pub mod client_ip;
pub mod config;
pub mod deprecation;
pub mod health;
pub mod idempotency;
pub mod inside;
pub mod openapi;
mod openapi_shapes;
pub mod origin;
pub mod ratelimit;
pub mod rerun;
pub mod scopes;
pub mod server;
pub mod unasked;

mod conditions;
mod download;
mod edge;
mod extract;
mod guard;
mod json;
mod object;
mod patch;
mod problem;
mod problem_pages;
mod query;
mod receive;
mod router;
mod standing;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use kernel::time::SharedClock;
use tower::{Layer, ServiceExt};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};
use tower_http::cors::{AllowOrigin, CorsLayer};

pub use config::HttpConfig;
pub use download::download;
pub use extract::{Body, IfMatch, OptionalBody, Patch, Path, Query, Visitor, etag, parse_query, query_error};
pub use object::{object, objects};
pub use patch::Field;
pub use problem::{PROBLEM_TYPES, Problem, ProblemDocument, problem_type};
pub use router::{OpenApiRouter, merge as merge_descriptions};

use crate::admission::Admission;
use auth::Authenticator;
use ratelimit::RateLimits;
use scopes::ScopeTable;
use standing::Standing;

/// What the layers of every route share.
pub struct Edge {
    pub config: HttpConfig,
    pub clock: SharedClock,
    pub authenticator: Arc<Authenticator>,
    pub rate_limits: RateLimits,
    scopes: ScopeTable,
    admission: Admission,
    receiver: receive::Receiver,
}

impl Edge {
    pub fn new(config: HttpConfig, clock: SharedClock, authenticator: Arc<Authenticator>, scopes: ScopeTable) -> Arc<Self> {
        let rate_limits = RateLimits::new(&config.rate_limits);
        let admission = guard::admission(&config);
        let receiver = receive::Receiver::new(&config);
        Arc::new(Self {
            config,
            clock,
            authenticator,
            rate_limits,
            scopes,
            admission,
            receiver,
        })
    }
}

/// Puts every rule that holds for all routes around `routes`.
pub fn stack(routes: Router, edge: &Arc<Edge>) -> Router {
    // From the outermost inwards. As one layer, because each `Router::layer` puts every route into a box of its own, and a box is
    // cloned with all that are in it for each request.
    let rules = (
        from_fn(unpacked_is_acceptable),
        CompressionLayer::new().compress_when(DefaultPredicate::new().and(compressible)),
        from_fn_with_state(edge.clone(), edge::edge),
        from_fn_with_state(Arc::new(cors(&edge.config)), cross_origin),
        from_fn(guard::catch_panic),
        from_fn_with_state(edge.clone(), receive::layer),
        from_fn(guard::accept),
        from_fn_with_state(edge.clone(), guard::limit),
        from_fn_with_state(edge.clone(), guard::identify),
        DefaultBodyLimit::max(edge.config.max_body_bytes),
        Extension(Standing::of(routes.clone())),
    );
    routes
        .merge(problem_pages::routes())
        .fallback(|| async { Problem(kernel::Error::not_found("request.route_unknown", "There is no such route.")) })
        .layer(rules)
}

/// Who refuses what is not compressed (`identity;q=0`, `*;q=0`) gets it nevertheless where nothing else is there (RFC 9110,
/// 12.5.3): the compression would say 406 only after the request has had its effect.
async fn unpacked_is_acceptable(mut request: Request, next: Next) -> Response {
    let headers = request.headers_mut();
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter();
    let codings = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    let (refusals, kept): (Vec<&str>, Vec<&str>) = codings.partition(|coding| refuses_unpacked(coding));
    if !refusals.is_empty()
        && let Ok(kept) = HeaderValue::from_str(&kept.join(","))
    {
        headers.insert(header::ACCEPT_ENCODING, kept);
    }
    next.run(request).await
}

fn refuses_unpacked(coding: &str) -> bool {
    let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
    let weight = weight.trim().to_ascii_lowercase();
    let nothing = weight
        .strip_prefix("q=")
        .is_some_and(|weight| weight.bytes().all(|byte| matches!(byte, b'0' | b'.')));
    nothing && (name.trim() == "*" || name.trim().eq_ignore_ascii_case("identity"))
}

/// A strong `ETag` names exact bytes (RFC 9110, 8.8.1), so an answer that has one keeps its bytes; they are single objects
/// and small. Answers with credentials stay as they are because compression leaks through length (BREACH).
fn compressible(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    !headers.contains_key(header::ETAG) && headers.get(header::CACHE_CONTROL).is_none_or(|value| value != "no-store")
}

/// The CORS layer takes every OPTIONS for a preflight; one without `Access-Control-Request-Method` is a plain question
/// for the methods, which the router answers.
async fn cross_origin(State(layer): State<Arc<CorsLayer>>, request: Request, next: Next) -> Response {
    let plain = request.method() == Method::OPTIONS && !request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if plain {
        return next.run(request).await;
    }
    match layer.layer(next).oneshot(request).await {
        Ok(response) => response.into_response(),
        Err(never) => match never {},
    }
}

/// An exact allow-list; without one no other origin may read answers.
fn cors(config: &HttpConfig) -> CorsLayer {
    let origins: Vec<HeaderValue> = config
        .cors_origins
        .iter()
        .filter_map(|origin| HeaderValue::from_str(origin).ok())
        .collect();
    let name = HeaderName::from_static;
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::ACCEPT,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            name("idempotency-key"),
            name("last-event-id"),
            name("x-request-id"),
            name("traceparent"),
        ])
        .expose_headers([
            header::ETAG,
            header::LOCATION,
            header::RETRY_AFTER,
            header::LINK,
            ratelimit::RATE_LIMIT,
            ratelimit::RATE_LIMIT_POLICY,
            name("x-request-id"),
            name("deprecation"),
            name("sunset"),
            idempotency::IDEMPOTENCY_REPLAYED,
        ])
        .max_age(Duration::from_secs(3_600));
    if origins.is_empty() {
        layer
    } else {
        layer.allow_origin(AllowOrigin::list(origins)).allow_credentials(true)
    }
}
