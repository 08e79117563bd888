//! `Idempotency-Key`: the reply is stored in the unit of its effect, so a repeated request cannot act twice.
//!
//! A repeated answer goes to whoever could still read what it tells; a body is not told to somebody who has been put out since.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body as HttpBody, Bytes, to_bytes};
use axum::extract::{FromRequestParts as _, MatchedPath, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use kernel::Error;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::extract::{Identified, etag, too_large};
use super::problem::Problem;
use super::standing::Standing;
use crate::context::Caller;
use crate::db::{Db, StoredReply};

pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// A stored reply is replayed this long, then swept.
pub const KEPT: Duration = Duration::from_secs(24 * 3600);
const MAX_KEY_CHARS: usize = 255;

/// What the first unit of a request with an `Idempotency-Key` stores with its rows.
#[derive(Debug)]
pub struct IdempotencySlot {
    /// SHA-256 over principal, method, route with its parameters and key.
    pub scope_hash: [u8; 32],
    /// SHA-256 over the query, the content type and the body.
    pub body_hash: [u8; 32],
    /// Set once a unit has taken the slot along, or when the reply is not to be kept.
    pub settled: AtomicBool,
}

/// The layer around one service's routes.
#[derive(Clone)]
pub struct Idempotency {
    db: Db,
    max_body_bytes: usize,
    in_flight: Arc<Mutex<HashSet<[u8; 32]>>>,
}

impl Idempotency {
    pub fn new(db: Db, max_body_bytes: usize) -> Self {
        Self {
            db,
            max_body_bytes,
            in_flight: Arc::default(),
        }
    }
}

/// Leaves the set when the request ends, however it ends.
struct InFlight {
    set: Arc<Mutex<HashSet<[u8; 32]>>>,
    scope: [u8; 32],
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.scope);
    }
}

/// Replays, refuses or lets pass. Only for signed-in callers; the routes under `/v1/auth` answer with credentials,
/// which are not stored.
pub async fn layer(State(state): State<Idempotency>, request: Request, next: Next) -> Response {
    let wants = matches!(*request.method(), Method::POST | Method::PATCH) && !request.uri().path().starts_with("/v1/auth/");
    let Some(key) = request.headers().get(&IDEMPOTENCY_KEY).filter(|_| wants).cloned() else {
        return next.run(request).await;
    };
    let caller = request
        .extensions()
        .get::<Identified>()
        .filter(|found| found.refused.is_none())
        .map(|found| found.caller.clone());
    let Some((caller, user_id)) = caller.and_then(|caller| caller.actor.user_id().map(|user_id| (caller, user_id))) else {
        return next.run(request).await;
    };
    match handle(&state, request, next, &key, user_id, &caller).await {
        Ok(response) => response,
        Err(error) => Problem(error).into_response(),
    }
}

async fn handle(
    state: &Idempotency,
    request: Request,
    next: Next,
    key: &HeaderValue,
    user_id: kernel::ids::UserId,
    caller: &Caller,
) -> Result<Response, Error> {
    let key = key
        .to_str()
        .ok()
        .filter(|key| !key.is_empty() && key.len() <= MAX_KEY_CHARS && key.bytes().all(|b| b.is_ascii_graphic()));
    let key = key.ok_or_else(|| {
        Error::malformed(
            "request.idempotency_key_invalid",
            "Idempotency-Key must be 1 to 255 visible ASCII characters.",
        )
    })?;
    let (mut parts, body) = request.into_parts();
    let target = target(&mut parts).await;
    let scope = format!("{user_id}\n{}\n{target}\n{key}", parts.method);
    let body = to_bytes(body, state.max_body_bytes).await.map_err(|_| too_large())?;
    let (scope_hash, body_hash): ([u8; 32], [u8; 32]) = (Sha256::digest(scope).into(), content_hash(&parts, &body));
    if !state.in_flight.lock().unwrap_or_else(PoisonError::into_inner).insert(scope_hash) {
        return Err(Error::conflict(
            "request.idempotency_in_flight",
            "A request with this Idempotency-Key is still being processed.",
        ));
    }
    let _guard = InFlight {
        set: state.in_flight.clone(),
        scope: scope_hash,
    };
    if let Some(stored) = state.db.find_reply(&scope_hash).await? {
        return replay(&parts, stored, &body_hash).await;
    }
    let slot = Arc::new(IdempotencySlot {
        scope_hash,
        body_hash,
        settled: AtomicBool::new(false),
    });
    let mut request = Request::from_parts(parts, HttpBody::from(body));
    request.extensions_mut().insert(slot.clone());
    let response = next.run(request).await;
    if response.status().is_success() && !slot.settled.load(Ordering::Acquire) {
        return store_after(state, &slot, response, caller).await;
    }
    Ok(response)
}

/// The route with the values of its parameters, the same however the path spells them.
async fn target(parts: &mut Parts) -> String {
    let route = parts.extensions.get::<MatchedPath>().cloned();
    let params = RawPathParams::from_request_parts(parts, &()).await;
    let (Some(route), Ok(params)) = (route, params) else {
        return parts.uri.path().to_owned();
    };
    let values = params.iter().map(|(_, value)| match Uuid::try_parse(value) {
        // The one form that paths take, in letters of either case.
        Ok(id) if value.len() == Hyphenated::LENGTH => id.hyphenated().to_string(),
        _ => value.to_owned(),
    });
    // As a list in quotes, so that no value can pass for two.
    format!("{} {:?}", route.as_str(), values.collect::<Vec<_>>())
}

/// What is asked for: with another query, or read as another kind of content, it is another request.
fn content_hash(parts: &Parts, body: &[u8]) -> [u8; 32] {
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    let mut hash = Sha256::new();
    for part in [parts.uri.query().unwrap_or_default(), &essence.trim().to_ascii_lowercase()] {
        hash.update(part);
        hash.update("\n");
    }
    hash.update(body);
    hash.finalize().into()
}

async fn replay(parts: &Parts, stored: StoredReply, body_hash: &[u8; 32]) -> Result<Response, Error> {
    if stored.body_hash != body_hash {
        let detail = "This Idempotency-Key was used with another body, query or content type.";
        return Err(Error::new(kernel::ErrorKind::Invalid, "request.idempotency_key_reused", detail));
    }
    let has_body = !stored.body.is_empty();
    if has_body
        && let Some(standing) = parts.extensions.get::<Standing>()
        && let Some(refusal) = standing.refusal(parts, &stored.body).await
    {
        return Ok(refusal);
    }
    let mut response = Response::new(HttpBody::from(stored.body));
    *response.status_mut() = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    if has_body {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    if let Some(version) = stored.version {
        headers.insert(header::ETAG, etag(version));
    }
    if let Some(location) = stored.location.and_then(|text: String| HeaderValue::from_str(&text).ok()) {
        headers.insert(header::LOCATION, location);
    }
    Ok(response)
}

/// For the few routes whose success is not rendered inside a unit: the reply is stored right after it.
async fn store_after(state: &Idempotency, slot: &IdempotencySlot, response: Response, caller: &Caller) -> Result<Response, Error> {
    let (parts, body) = response.into_parts();
    let body: Bytes = to_bytes(body, usize::MAX).await.map_err(Error::internal)?;
    let text = |name: &HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let reply = StoredReply {
        body_hash: slot.body_hash.to_vec(),
        status: parts.status.as_u16(),
        location: text(&header::LOCATION).map(str::to_owned),
        version: text(&header::ETAG).and_then(|tag| tag.trim_matches('"').parse().ok()),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    state.db.store_reply(caller, slot, reply).await?;
    Ok(Response::from_parts(parts, HttpBody::from(body)))
}
