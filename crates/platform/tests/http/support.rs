//! A router that uses every extractor, a stack around it, and an identity that signs tokens.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body as HttpBody;
use axum::extract::ConnectInfo;
use axum::response::IntoResponse;
use axum::{Json, Router, routing};
use contracts::identity::{CheckSession, FindUserByEmail, GetUsers, Identity, Jwks, JwksRequest, SessionState, UserSummary};
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signer, SigningKey};
use http::{HeaderMap, Request, StatusCode};
use kernel::ids::{EntityId, SessionId, TaskId, UserId};
use kernel::{CallContext, Clock, Error, Result};
use platform::Caller;
use platform::db::Reply;
use platform::http::auth::{AuthConfig, Authenticator};
use platform::http::scopes::ScopeTable;
use platform::http::{Body, Edge, Field, HttpConfig, IfMatch, Patch, Path, Problem, Query, Visitor, stack};
use serde::Deserialize;
use serde_json::{Value, json};
use testkit::FixedClock;
use tower::ServiceExt;

pub const ISSUER: &str = "https://guildhall.test";
pub const AUDIENCE: &str = "guildhall";

/// Publishes one key and knows which sessions live.
pub struct Signing {
    pub key: SigningKey,
    pub kid: Mutex<String>,
    pub state: Mutex<Result<SessionState, ()>>,
    pub key_fetches: AtomicUsize,
    pub session_checks: AtomicUsize,
}

#[async_trait]
impl Identity for Signing {
    async fn get_users(&self, _: &CallContext, _: GetUsers) -> Result<Vec<UserSummary>> {
        Ok(Vec::new())
    }
    async fn find_user_by_email(&self, _: &CallContext, _: FindUserByEmail) -> Result<Option<UserSummary>> {
        Ok(None)
    }
    async fn check_session(&self, _: &CallContext, _: CheckSession) -> Result<SessionState> {
        self.session_checks.fetch_add(1, Ordering::SeqCst);
        self.state
            .lock()
            .expect("not poisoned")
            .clone()
            .map_err(|()| Error::unavailable(Duration::from_secs(2)))
    }
    async fn jwks(&self, _: &CallContext, _: JwksRequest) -> Result<Jwks> {
        self.key_fetches.fetch_add(1, Ordering::SeqCst);
        // Gives other requests the chance to meet the unknown key meanwhile.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let x = BASE64URL_NOPAD.encode(self.key.verifying_key().as_bytes());
        let kid = self.kid.lock().expect("not poisoned").clone();
        Ok(Jwks {
            keys: vec![json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": kid, "x": x })],
        })
    }
}

pub fn encode(value: &Value) -> String {
    BASE64URL_NOPAD.encode(value.to_string().as_bytes())
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("visible ASCII"))
    }

    /// A complete problem document with this status and code.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> &Self {
        assert_eq!(
            (self.status.as_u16(), self.body["code"].as_str()),
            (status, Some(code)),
            "{self:#?}"
        );
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("cache-control"), "no-store");
        assert_eq!(self.body["status"], status);
        assert!(self.body["type"].as_str().expect("text").starts_with("/problems/"));
        for member in ["title", "detail", "instance"] {
            assert!(
                self.body[member].as_str().is_some_and(|text| !text.is_empty()),
                "{member}: {self:#?}"
            );
        }
        assert_eq!(self.body["request_id"], self.header("x-request-id"));
        self
    }

    #[track_caller]
    pub fn field(&self, pointer: &str, code: &str) {
        let errors = &self.body["errors"];
        assert_eq!(
            (errors[0]["pointer"].as_str(), errors[0]["code"].as_str()),
            (Some(pointer), Some(code)),
            "{self:#?}"
        );
    }
}

/// The router under the whole stack.
pub struct Kit {
    pub router: Router,
    pub clock: FixedClock,
    pub identity: Arc<Signing>,
    pub authenticator: Arc<Authenticator>,
    pub user_id: UserId,
    pub session_id: SessionId,
}

impl Kit {
    pub fn new() -> Self {
        Self::with(|_| {}, routes())
    }

    pub fn with(adjust: impl FnOnce(&mut HttpConfig), routes: Router) -> Self {
        let clock = FixedClock::default();
        let identity = Arc::new(Signing {
            key: SigningKey::from_bytes(&[7; 32]),
            kid: Mutex::new("k1".into()),
            state: Mutex::new(Ok(SessionState {
                active: true,
                instance_admin: true,
            })),
            key_fetches: AtomicUsize::new(0),
            session_checks: AtomicUsize::new(0),
        });
        let auth = AuthConfig {
            issuer: ISSUER.into(),
            audience: AUDIENCE.into(),
        };
        let authenticator = Arc::new(Authenticator::new(identity.clone(), Arc::new(clock.clone()), auth));
        let mut config = HttpConfig::default();
        adjust(&mut config);
        let edge = Edge::new(config, Arc::new(clock.clone()), authenticator.clone(), ScopeTable::default());
        let (user_id, session_id) = (UserId::generate(&clock), SessionId::generate(&clock));
        Self {
            router: stack(routes, &edge),
            clock,
            identity,
            authenticator,
            user_id,
            session_id,
        }
    }

    pub fn header(&self) -> Value {
        json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": self.identity.kid.lock().expect("not poisoned").clone() })
    }

    pub fn claims(&self) -> Value {
        let now = self.clock.now().as_seconds();
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": self.user_id, "sid": self.session_id,
            "jti": kernel::ids::uuid_v7(&self.clock), "iat": now, "nbf": now, "exp": now + 900
        })
    }

    /// Signs whatever it is given.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", encode(header), encode(claims));
        let signature = self.identity.key.sign(text.as_bytes()).to_bytes();
        format!("{text}.{}", BASE64URL_NOPAD.encode(&signature))
    }

    pub fn token(&self) -> String {
        self.sign(&self.header(), &self.claims())
    }

    pub async fn send(&self, mut request: Request<HttpBody>) -> Answer {
        if request.extensions().get::<ConnectInfo<std::net::SocketAddr>>().is_none() {
            request
                .extensions_mut()
                .insert(ConnectInfo(std::net::SocketAddr::from(([192, 0, 2, 1], 4_000))));
        }
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("an answer").to_vec();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            bytes,
        }
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(request("GET", path, headers, "")).await
    }

    /// Signed in, JSON.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<HttpBody>) -> Answer {
        let token = format!("Bearer {}", self.token());
        let mut all = vec![("authorization", token.as_str()), ("content-type", "application/json")];
        all.retain(|(name, _)| !headers.iter().any(|(other, _)| other == name));
        all.extend(headers);
        self.send(request("POST", path, &all, body)).await
    }
}

pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<HttpBody>) -> Request<HttpBody> {
    let mut builder = Request::builder().header("host", "guildhall.test").method(method).uri(path);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body.into()).expect("a request")
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewThing {
    title: String,
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    label: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangedThing {
    #[serde(default)]
    note: Field<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    limit: Option<u32>,
    q: Option<String>,
}

pub fn routes() -> Router {
    Router::new()
        .route("/v1/things", routing::get(list).post(create))
        .route("/v1/things/{id}", routing::get(read).patch(change))
        .route(
            "/v1/me",
            routing::get(|caller: Caller| async move { Json(json!({ "id": caller.user_id().ok(), "admin": caller.instance_admin })) }),
        )
        .route(
            "/v1/public",
            routing::get(|Visitor(caller): Visitor| async move { Json(json!({ "id": caller.actor.user_id(), "ip": caller.client_ip })) }),
        )
        .route(
            "/v1/auth/sign-in",
            routing::post(|| async { Json(json!({ "access_token": "x".repeat(2_000) })) }),
        )
        .route("/v1/panic", routing::get(|| async { panic!("secret inside") as () }))
        .route(
            "/v1/broken",
            routing::get(|| async { Problem(Error::internal(std::io::Error::other("password=hunter2"))) }),
        )
        .route(
            "/v1/away",
            routing::get(|| async { Problem(Error::unavailable(Duration::from_millis(2_500))) }),
        )
        .route(
            "/v1/slow",
            routing::get(|| async { tokio::time::sleep(Duration::from_secs(3_600)).await }),
        )
        .route(
            "/v1/large",
            routing::get(|| async { Json(json!({ "items": vec!["the same text again"; 500] })) }),
        )
        .route(
            "/v1/events",
            routing::get(|| async { ([("content-type", "text/event-stream")], "data: x\n\n".repeat(500)) }),
        )
}

async fn list(caller: Caller, Query(filter): Query<Filter>) -> Result<impl IntoResponse, Problem> {
    caller.user_id()?;
    Ok(Json(json!({ "limit": filter.limit, "q": filter.q })))
}

async fn create(_: Caller, Body(thing): Body<NewThing>) -> Result<impl IntoResponse, Problem> {
    let labels: Vec<String> = thing.parts.into_iter().map(|part| part.label).collect();
    Ok(Reply::created(
        json!({ "title": thing.title, "parts": labels }),
        1,
        "/v1/things/1".into(),
    ))
}

async fn read(Path(id): Path<TaskId>) -> Result<impl IntoResponse, Problem> {
    Ok(Reply::ok(json!({ "id": id, "text": "words ".repeat(400) }), 3))
}

async fn change(
    _: Caller,
    if_match: IfMatch,
    Path(_): Path<TaskId>,
    Patch(patch): Patch<ChangedThing>,
) -> Result<impl IntoResponse, Problem> {
    if_match.check_or_require(3, true)?;
    Ok(Reply::ok(
        json!({ "note": patch.note.into_option().map_or(json!("left"), |note| json!(note)) }),
        4,
    ))
}
