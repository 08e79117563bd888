//! Who acts, and the context every call between services carries.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{ApiKeyId, SessionId, UserId};
use crate::time::Timestamp;

/// Who does something. Never built from request headers; only from a verified token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Actor {
    User {
        user_id: UserId,
        session_id: SessionId,
    },
    /// A program that acts for a person, with a part of their rights.
    ApiKey {
        user_id: UserId,
        key_id: ApiKeyId,
    },
    /// A consumer, a sweep or the operator's command line.
    System,
    /// Nobody signed in.
    Anonymous,
}

impl Actor {
    pub const fn user_id(&self) -> Option<UserId> {
        match self {
            Self::User { user_id, .. } | Self::ApiKey { user_id, .. } => Some(*user_id),
            Self::System | Self::Anonymous => None,
        }
    }
}

/// Travels with every call to another service (in process or remote).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CallContext {
    pub actor: Actor,
    /// Same as in the response header `X-Request-Id` and every log line.
    pub request_id: String,
    /// The callee gives up at this moment.
    pub deadline: Timestamp,
}

/// The longest a call between services may take when the caller names no shorter time.
pub const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_secs(10);

impl CallContext {
    /// For consumers, sweeps and the command line.
    pub fn system(request_id: impl Into<String>, now: Timestamp) -> Self {
        Self {
            actor: Actor::System,
            request_id: request_id.into(),
            deadline: now.plus(DEFAULT_CALL_TIMEOUT),
        }
    }
}
