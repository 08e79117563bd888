//! The outermost rules: request id and trace, log and metrics, headers, problem rendering, conditional GET.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body as HttpBody, HttpBody as _};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use kernel::{Error, ErrorKind};
use tracing::Instrument;

use super::Edge;
use super::client_ip::client_ip;
use super::conditions::{Condition, condition};
use super::problem::ProblemParts;
use crate::trace;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What the edge knows of a request before anybody is identified.
#[derive(Debug, Clone)]
pub(super) struct RequestMeta {
    pub request_id: Arc<str>,
    pub traceparent: Arc<str>,
    pub client_ip: IpAddr,
    pub user_agent: Option<Arc<str>>,
}

/// The spans of a request, for what the process asks itself on its behalf.
#[derive(Debug, Clone)]
pub(super) struct Spans {
    pub trace: tracing::Span,
    pub log: tracing::Span,
}

pub(super) async fn edge(State(state): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    // What is no list of tags names no copy; whoever asks gets a new one.
    let if_none_match = condition(request.headers(), &header::IF_NONE_MATCH).ok().flatten();
    // A request from inside the process has the id and address of the one it is part of.
    let (mut meta, trace) = match request.extensions().get::<RequestMeta>() {
        Some(outer) => (outer.clone(), trace::inner_request(method.as_str(), &route)),
        None => {
            let (meta, continued) = meta(&state, &request);
            let remote = continued.then_some(&*meta.traceparent);
            let trace = trace::request(method.as_str(), &route, &meta.request_id, remote);
            (meta, trace)
        }
    };
    if let Some(own) = trace::traceparent(&trace) {
        meta.traceparent = own;
    }
    let span = crate::telemetry::request_span(&meta.request_id, &meta.traceparent, method.as_str(), &route);
    let spans = Spans {
        trace: trace.clone(),
        log: span.clone(),
    };
    request.extensions_mut().insert(meta.clone());
    request.extensions_mut().insert(spans);
    let mut response = next.run(request).instrument(span.clone()).instrument(trace.clone()).await;

    response = span.in_scope(|| finish_problem(response, &path, &meta));
    if matches!(method, Method::GET | Method::HEAD) {
        response = not_modified(response, if_none_match.as_ref());
    }
    if method == Method::OPTIONS && response.status() == StatusCode::METHOD_NOT_ALLOWED {
        // `Allow` is the answer, and the router has put it there.
        response = Response::new(HttpBody::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    common_headers(&path, response.headers_mut(), &meta);
    trace::answered(&trace, response.status().as_u16());
    record(&span, &method, &route, &response, started);
    response
}

/// Also whether the client's trace goes on.
fn meta(state: &Edge, request: &Request) -> (RequestMeta, bool) {
    let headers = request.headers();
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |info| info.0.ip());
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let request_id = text(&REQUEST_ID)
        .filter(|id| valid_request_id(id))
        .map_or_else(|| kernel::ids::uuid_v7(&*state.clock).simple().to_string().into(), Arc::from);
    let sent = text(&TRACEPARENT).and_then(read_traceparent);
    let continued = sent.is_some();
    let meta = RequestMeta {
        request_id,
        traceparent: sent.unwrap_or_else(new_traceparent),
        client_ip: client_ip(peer, headers, &state.config.trusted_proxies),
        user_agent: text(&header::USER_AGENT).map(|agent| agent.chars().take(256).collect::<String>().into()),
    };
    (meta, continued)
}

fn valid_request_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// What version 00 of W3C Trace Context knows of it: later versions may add flags, and parts behind.
fn read_traceparent(value: &str) -> Option<Arc<str>> {
    let hex = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let zero = |part: &str| part.bytes().all(|b| b == b'0');
    let mut parts = value.splitn(5, '-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let of_a_version = hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    if !of_a_version || !hex(trace, 32) || !hex(span, 16) || !hex(flags, 2) || zero(trace) || zero(span) {
        return None;
    }
    let sampled = u8::from_str_radix(flags, 16).ok()? & 1;
    Some(format!("00-{trace}-{span}-{sampled:02x}").into())
}

fn new_traceparent() -> Arc<str> {
    let (trace, span): (u128, u64) = (rand::random(), rand::random());
    format!("00-{:032x}-{:016x}-01", trace.max(1), span.max(1)).into()
}

/// Renders problems with request id and path; turns bare errors of the router or a layer into problems.
fn finish_problem(response: Response, path: &str, meta: &RequestMeta) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let parts = match response.extensions().get::<ProblemParts>() {
        Some(parts) => parts.clone(),
        // A handler that made its own problem or page.
        None if response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/") || kind.as_bytes().starts_with(b"text/html")) =>
        {
            return response;
        }
        None => ProblemParts {
            error: Arc::new(bare_error(status)),
        },
    };
    log_cause(&parts.error);
    let mut rendered = parts.render(Some(path.to_owned()), Some(meta.request_id.to_string()));
    // Headers that layers or the router added, some of them more than once: Allow, RateLimit, Set-Cookie, Vary.
    let own = rendered.headers().clone();
    for (name, value) in response.headers() {
        if !own.contains_key(name) && name != header::CONTENT_LENGTH {
            rendered.headers_mut().append(name, value.clone());
        }
    }
    *rendered.extensions_mut() = response.extensions().clone();
    rendered
}

fn bare_error(status: StatusCode) -> Error {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => Error::new(
            ErrorKind::MethodNotAllowed,
            "request.method_not_allowed",
            "The route exists, but not with this method; see Allow.",
        ),
        StatusCode::NOT_FOUND => Error::not_found("request.route_unknown", "There is no such route."),
        StatusCode::PAYLOAD_TOO_LARGE => super::extract::too_large(),
        status if status.is_server_error() => Error::internal(format!("a layer answered {status}")),
        _ => Error::malformed("request.malformed", "The request cannot be understood."),
    }
}

/// The one place where causes are logged.
fn log_cause(error: &Error) {
    let mut chain = String::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if !chain.is_empty() {
            chain.push_str(": ");
        }
        chain.push_str(&cause.to_string());
        source = cause.source();
    }
    match error.kind {
        ErrorKind::Internal => tracing::error!(code = %error.code, cause = %chain, "request failed"),
        ErrorKind::Unavailable | ErrorKind::Timeout => tracing::warn!(code = %error.code, cause = %chain, "request refused"),
        _ if !chain.is_empty() => tracing::debug!(code = %error.code, cause = %chain, "request refused"),
        _ => {}
    }
}

/// 304 when the client's copy is current (RFC 9110, 13.1.2; weak comparison).
fn not_modified(response: Response, if_none_match: Option<&Condition>) -> Response {
    let Some(tag) = response.headers().get(header::ETAG).map(HeaderValue::as_bytes) else {
        return response;
    };
    let current = tag.strip_prefix(b"W/").unwrap_or(tag);
    let same = match if_none_match {
        None => false,
        Some(Condition::Anything) => true,
        Some(Condition::Tags(held)) => {
            let opaque = current.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
            held.iter().any(|held| Some(held.opaque.as_slice()) == opaque)
        }
    };
    if !same || response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, HttpBody::empty())
}

/// Security headers (OWASP secure headers), cache rule, request id.
fn common_headers(path: &str, headers: &mut HeaderMap, meta: &RequestMeta) {
    let defaults = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=()",
        ),
        (
            header::CACHE_CONTROL,
            if path.starts_with("/v1/auth/") {
                "no-store"
            } else {
                "private, no-cache"
            },
        ),
    ];
    for (name, value) in defaults {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    for (name, value) in [(REQUEST_ID, &meta.request_id), (TRACEPARENT, &meta.traceparent)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
}

/// Access log and RED metrics, by route template: never the path or query, which may hold tokens.
fn record(span: &tracing::Span, method: &Method, route: &str, response: &Response, started: Instant) {
    let elapsed = started.elapsed();
    let status = response.status().as_u16();
    let labels = [
        ("method", method.to_string()),
        ("route", route.to_owned()),
        ("status", status.to_string()),
    ];
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_request_duration_seconds", &labels[..2]).record(elapsed.as_secs_f64());
    let _entered = span.enter();
    tracing::info!(
        status,
        duration_ms = format_args!("{:.2}", elapsed.as_secs_f64() * 1e3),
        bytes = response.body().size_hint().exact(),
        "answered"
    );
}
