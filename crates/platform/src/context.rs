//! Who calls, from where, and under which request: carried from the edge into every unit.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use kernel::actor::DEFAULT_CALL_TIMEOUT;
use kernel::ids::{SessionId, UserId};
use kernel::scopes::{Scope, ScopeSet};
use kernel::{Actor, CallContext, Clock, Error, Result, Timestamp};

use crate::http::idempotency::IdempotencySlot;

/// The context of one request, event delivery or command.
///
/// As an axum extractor it demands a signed-in person (401 otherwise); public routes use
/// [`crate::http::Visitor`].
#[derive(Debug, Clone)]
pub struct Caller {
    pub actor: Actor,
    pub request_id: Arc<str>,
    /// W3C trace context, passed on in events.
    pub traceparent: Option<Arc<str>>,
    /// After the trusted-proxy rule.
    pub client_ip: IpAddr,
    pub user_agent: Option<Arc<str>>,
    /// When the request was accepted.
    pub now: Timestamp,
    /// May manage the installation.
    pub instance_admin: bool,
    /// What an API key may be used for; `None` for whoever may do all that the person may.
    pub scopes: Option<ScopeSet>,
    /// When the access token ends; live streams close then.
    pub token_expires_at: Option<Timestamp>,
    /// Set when the request carries an `Idempotency-Key`; the first unit stores the reply with it.
    pub idempotency: Option<Arc<IdempotencySlot>>,
}

impl Caller {
    /// For consumers, sweeps and the command line.
    pub fn system(clock: &dyn Clock, request_id: impl Into<Arc<str>>) -> Self {
        Self {
            actor: Actor::System,
            request_id: request_id.into(),
            traceparent: None,
            client_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            user_agent: None,
            now: clock.now(),
            instance_admin: false,
            scopes: None,
            token_expires_at: None,
            idempotency: None,
        }
    }

    /// Whether an API key has this scope, for parts of an answer that another scope than the route's opens. Without a key there is
    /// nothing to lack.
    pub fn holds(&self, scope: Scope) -> bool {
        self.scopes.is_none_or(|scopes| scopes.permits(scope))
    }

    /// The signed-in person; 401 for anybody else.
    pub fn user_id(&self) -> Result<UserId> {
        self.actor
            .user_id()
            .ok_or_else(|| Error::unauthenticated("auth.required", "Sign in to do this."))
    }

    pub fn session_id(&self) -> Result<SessionId> {
        match self.actor {
            Actor::User { session_id, .. } => Ok(session_id),
            Actor::ApiKey { .. } => Err(Error::forbidden(
                "auth.api_key_refused",
                "This cannot be done with an API key; sign in.",
            )),
            Actor::System | Actor::Anonymous => Err(Error::unauthenticated("auth.required", "Sign in to do this.")),
        }
    }

    /// The same caller when the reply holds a secret: it is not kept for the `Idempotency-Key` of the request, neither in a unit
    /// nor after the handler.
    #[must_use]
    pub fn keeping_no_reply(&self) -> Self {
        if let Some(slot) = &self.idempotency {
            slot.settled.store(true, Ordering::Release);
        }
        Self {
            idempotency: None,
            ..self.clone()
        }
    }

    /// The context for calls to other services.
    pub fn call(&self) -> CallContext {
        CallContext {
            actor: self.actor,
            request_id: self.request_id.to_string(),
            deadline: self.now.plus(DEFAULT_CALL_TIMEOUT),
        }
    }
}
