//! Verifies access tokens: JWTs (RFC 9068) signed with EdDSA (RFC 8037) or ES256, the algorithm pinned per key, live session. And API keys.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use contracts::identity::{ApiKeyState, CheckApiKey, CheckSession, Identity, JwksRequest, SessionState};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use kernel::ids::{SessionId, UserId};
use kernel::scopes::ScopeSet;
use kernel::time::SharedClock;
use kernel::{Actor, CallContext, Error, ErrorKind, Result, Timestamp, api_key};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::signals::{Signal, Signals};

/// A revoked session is refused everywhere within this time, at once in this process.
const SESSION_CACHE: Duration = Duration::from_secs(5);
/// An unknown `kid` asks for the key set at most this often.
const JWKS_REFRESH: Duration = Duration::from_secs(2);
/// A key that identity no longer publishes is forgotten within this time.
const JWKS_CACHE: Duration = Duration::from_secs(300);
/// How long a token counts as verified. Its times, its key and its session are looked at with every request all the same.
const TOKEN_CACHE: Duration = Duration::from_secs(60);
const MAX_TOKENS: u64 = 20_000;
/// Longer ones are not ours.
const MAX_TOKEN_BYTES: usize = 4_096;
/// Clocks of replicas may differ by this much.
const LEEWAY_SECONDS: i64 = 5;

/// What a token must say.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    pub issuer: String,
    pub audience: String,
}

/// A key and the one algorithm it verifies.
#[derive(Clone)]
struct PinnedKey {
    algorithm: Algorithm,
    key: DecodingKey,
}

/// The published keys, as last fetched.
#[derive(Default)]
struct Keys {
    by_id: HashMap<String, PinnedKey>,
    fetched: Timestamp,
}

/// Turns a bearer token into an actor.
pub struct Authenticator {
    identity: Arc<dyn Identity>,
    clock: SharedClock,
    config: AuthConfig,
    keys: RwLock<Keys>,
    /// When the key set was fetched; locked by the request that fetches it.
    refreshed: tokio::sync::Mutex<Option<Timestamp>>,
    sessions: moka::sync::Cache<(UserId, SessionId), SessionState>,
    /// What tokens with a good signature say, by SHA-256 of the token: verifying costs more than all else that a read does.
    tokens: moka::sync::Cache<[u8; 32], Verified>,
    /// Good keys only: what is made up cannot push out what is used.
    api_keys: moka::sync::Cache<CheckApiKey, ApiKeyState>,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// What is left to check of a token whose signature, issuer and audience are right.
#[derive(Debug, Clone)]
struct Verified {
    kid: Arc<str>,
    user_id: UserId,
    session_id: SessionId,
    issued: i64,
    not_before: i64,
    expires: i64,
}

impl Verified {
    fn in_time(&self, now: Timestamp) -> bool {
        let now = now.as_seconds();
        self.expires > now && self.not_before <= now + LEEWAY_SECONDS && self.issued <= now + LEEWAY_SECONDS
    }
}

/// The claims of an access token (RFC 9068).
#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    sid: SessionId,
    jti: uuid::Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// Whom a valid token speaks for.
#[derive(Debug, Clone, Copy)]
pub struct Authenticated {
    pub actor: Actor,
    pub instance_admin: bool,
    /// What an API key may be used for; `None` for a session, which may do all that its person may.
    pub scopes: Option<ScopeSet>,
    /// When the token or key ends; long-lived streams close then.
    pub expires_at: Timestamp,
}

fn invalid() -> Error {
    Error::unauthenticated("auth.token_invalid", "The access token or API key is invalid or has expired.")
}

impl Authenticator {
    pub fn new(identity: Arc<dyn Identity>, clock: SharedClock, config: AuthConfig) -> Self {
        let sessions = moka::sync::Cache::builder()
            .max_capacity(100_000)
            .time_to_live(SESSION_CACHE)
            .support_invalidation_closures()
            .build();
        let api_keys = moka::sync::Cache::builder()
            .max_capacity(100_000)
            .time_to_live(SESSION_CACHE)
            .support_invalidation_closures()
            .build();
        let tokens = moka::sync::Cache::builder()
            .max_capacity(MAX_TOKENS)
            .time_to_live(TOKEN_CACHE)
            .build();
        Self {
            identity,
            clock,
            config,
            keys: RwLock::default(),
            refreshed: tokio::sync::Mutex::default(),
            sessions,
            tokens,
            api_keys,
        }
    }

    /// Drops cached session states as sessions end. Runs until the process stops.
    pub async fn follow(self: Arc<Self>, signals: Signals) {
        let mut receiver = signals.subscribe();
        loop {
            match receiver.recv().await {
                Ok(Signal::SessionsChanged(user_id)) => {
                    // Fails only without `support_invalidation_closures`.
                    let _ = self.sessions.invalidate_entries_if(move |key, _| key.0 == user_id);
                    let _ = self.api_keys.invalidate_entries_if(move |_, state| state.user_id == user_id);
                }
                // Otherwise this task would use up the whole drain time of every stop.
                Ok(Signal::Stopping) | Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
                Ok(_) => {}
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {
                    self.sessions.invalidate_all();
                    self.api_keys.invalidate_all();
                }
            }
        }
    }

    /// 401 for anything but a valid token of a live session; `Unavailable` when that cannot be found out.
    pub async fn authenticate(&self, token: &str, request_id: &str) -> Result<Authenticated> {
        if token.starts_with(api_key::PREFIX) {
            return self.authenticate_key(token, request_id).await;
        }
        let verified = self.verify(token, request_id).await?;
        let actor = Actor::User {
            user_id: verified.user_id,
            session_id: verified.session_id,
        };
        let state = self.session(&verified, request_id).await?;
        if !state.active {
            return Err(invalid());
        }
        Ok(Authenticated {
            actor,
            instance_admin: state.instance_admin,
            scopes: None,
            expires_at: Timestamp::from_seconds(verified.expires),
        })
    }

    /// A key never manages the installation, whoever owns it.
    async fn authenticate_key(&self, text: &str, request_id: &str) -> Result<Authenticated> {
        let (key_id, secret) = api_key::parse(text).ok_or_else(invalid)?;
        let request = CheckApiKey {
            key_id,
            secret_hash: Sha256::digest(secret).into(),
        };
        let now = self.clock.now();
        let state = match self.api_keys.get(&request) {
            Some(state) => state,
            None => {
                let context = CallContext::system(request_id, now);
                let state = self.identity.check_api_key(&context, request.clone()).await?.ok_or_else(invalid)?;
                self.api_keys.insert(request, state.clone());
                state
            }
        };
        if now >= state.expires_at {
            return Err(invalid());
        }
        Ok(Authenticated {
            actor: Actor::ApiKey {
                user_id: state.user_id,
                key_id,
            },
            instance_admin: false,
            scopes: Some(state.scopes),
            expires_at: state.expires_at,
        })
    }

    async fn verify(&self, token: &str, request_id: &str) -> Result<Verified> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(invalid());
        }
        let digest: [u8; 32] = Sha256::digest(token).into();
        // A key that is published no longer takes its tokens along.
        let known = self.tokens.get(&digest).filter(|known| self.believes(&known.kid));
        let verified = match known {
            Some(known) => known,
            None => {
                let verified = self.verify_signature(token, request_id).await?;
                self.tokens.insert(digest, verified.clone());
                verified
            }
        };
        if verified.in_time(self.clock.now()) {
            Ok(verified)
        } else {
            Err(invalid())
        }
    }

    /// Everything that stays as it is while the token exists.
    async fn verify_signature(&self, token: &str, request_id: &str) -> Result<Verified> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| invalid())?;
        // RFC 8725: the key's algorithm, one type, and no key that the token brings along.
        let foreign_key = header.jku.is_some() || header.jwk.is_some() || header.x5u.is_some() || header.x5c.is_some();
        if foreign_key || header.typ.as_deref() != Some("at+jwt") || has_crit(token) {
            return Err(invalid());
        }
        let kid = header.kid.ok_or_else(invalid)?;
        if !self.believes(&kid) {
            self.refresh_keys(&kid, request_id).await?;
        }
        let PinnedKey { algorithm, key } = self.key(&kid).ok_or_else(invalid)?;
        if header.alg != algorithm {
            return Err(invalid());
        }
        let mut validation = Validation::new(algorithm);
        // Times are checked below against our clock, which tests can set.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation)
            .map_err(|_| invalid())?
            .claims;
        let exact = claims.iss == self.config.issuer && claims.aud == self.config.audience && !claims.jti.is_nil();
        if !exact {
            return Err(invalid());
        }
        Ok(Verified {
            kid: kid.into(),
            user_id: claims.sub,
            session_id: claims.sid,
            issued: claims.iat,
            not_before: claims.nbf,
            expires: claims.exp,
        })
    }

    /// `None` also once the whole set is too old to be believed, or was fetched by a clock that has been set back since.
    fn with_key<T>(&self, kid: &str, take: impl FnOnce(&PinnedKey) -> T) -> Option<T> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let believed = now >= keys.fetched && now.since(keys.fetched) < JWKS_CACHE;
        keys.by_id.get(kid).filter(|_| believed).map(take)
    }

    fn key(&self, kid: &str) -> Option<PinnedKey> {
        self.with_key(kid, Clone::clone)
    }

    fn believes(&self, kid: &str) -> bool {
        self.with_key(kid, |_| ()).is_some()
    }

    /// Fetches the key set for a `kid` that is not known yet. One request fetches, the others wait for its answer:
    /// right after a start every token has an unknown `kid`.
    async fn refresh_keys(&self, kid: &str, request_id: &str) -> Result<()> {
        let mut refreshed = self.refreshed.lock().await;
        let now = self.clock.now();
        let recently = refreshed.is_some_and(|at| now >= at && now.since(at) < JWKS_REFRESH);
        if recently || self.believes(kid) {
            return Ok(());
        }
        let answer = self.identity.jwks(&CallContext::system(request_id, now), JwksRequest {}).await?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Keys {
            by_id: answer.keys.iter().filter_map(decoding_key).collect(),
            fetched: now,
        };
        // Only a success counts, or nobody could sign in until the interval is over.
        *refreshed = Some(now);
        Ok(())
    }

    async fn session(&self, verified: &Verified, request_id: &str) -> Result<SessionState> {
        let key = (verified.user_id, verified.session_id);
        if let Some(state) = self.sessions.get(&key) {
            return Ok(state);
        }
        let request = CheckSession {
            user_id: verified.user_id,
            session_id: verified.session_id,
        };
        let context = CallContext::system(request_id, self.clock.now());
        let state = self
            .identity
            .check_session(&context, request)
            .await
            .map_err(|error| match error.kind {
                ErrorKind::NotFound => invalid(),
                _ => error,
            })?;
        self.sessions.insert(key, state.clone());
        Ok(state)
    }
}

/// Critical extensions (RFC 7515, 4.1.11) that we do not understand must be refused.
fn has_crit(token: &str) -> bool {
    token
        .split('.')
        .next()
        .and_then(|part| data_encoding::BASE64URL_NOPAD.decode(part.as_bytes()).ok())
        .and_then(|json| serde_json::from_slice::<serde_json::Value>(&json).ok())
        .is_none_or(|header| header.get("crit").is_some())
}

/// Only Ed25519 and P-256 signature keys with a `kid` count. Which algorithm a key is for follows from its type and curve;
/// a key that says otherwise of itself is none.
fn decoding_key(jwk: &serde_json::Value) -> Option<(String, PinnedKey)> {
    let text = |name: &str| jwk.get(name).and_then(serde_json::Value::as_str);
    let (algorithm, name, key) = match (text("kty")?, text("crv")?) {
        ("OKP", "Ed25519") => (Algorithm::EdDSA, "EdDSA", DecodingKey::from_ed_components(text("x")?)),
        ("EC", "P-256") => (Algorithm::ES256, "ES256", DecodingKey::from_ec_components(text("x")?, text("y")?)),
        _ => return None,
    };
    let consistent = text("alg").is_none_or(|alg| alg == name);
    consistent.then_some((text("kid")?.to_owned(), PinnedKey { algorithm, key: key.ok()? }))
}
