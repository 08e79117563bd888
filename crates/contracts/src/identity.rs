//! identity: who people are and whether their sessions live.

use async_trait::async_trait;
use kernel::ids::{ApiKeyId, SessionId, UserId};
use kernel::scopes::ScopeSet;
use kernel::{CallContext, Result, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSummary {
    pub id: UserId,
    /// Lower-cased; the address the person signs in with.
    pub email: String,
    pub email_verified: bool,
    pub name: String,
    /// IANA name.
    pub time_zone: String,
    /// BCP 47 tag.
    pub locale: String,
    /// Not disabled, locked or deleted.
    pub active: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetUsers {
    /// At most 500.
    pub ids: Vec<UserId>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FindUserByEmail {
    pub email: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckSession {
    pub user_id: UserId,
    pub session_id: SessionId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionState {
    /// False once the session ended, expired, or its user was disabled, locked or deleted.
    pub active: bool,
    /// May manage the installation (first administrator and those it names).
    pub instance_admin: bool,
}

/// Asks whether a key that somebody presented is good.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CheckApiKey {
    pub key_id: ApiKeyId,
    /// SHA-256 of the secret, so that the secret itself travels no further than to the process that was shown it.
    pub secret_hash: [u8; 32],
}

/// A good key: known, not expired or revoked, and its owner active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyState {
    pub user_id: UserId,
    pub scopes: ScopeSet,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JwksRequest {}

/// Public keys as a JSON Web Key Set (RFC 7517).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Jwks {
    pub keys: Vec<serde_json::Value>,
}

#[async_trait]
pub trait Identity: Send + Sync + 'static {
    /// Unknown ids are left out; deleted people come back with `active: false` and a blank address.
    async fn get_users(&self, ctx: &CallContext, request: GetUsers) -> Result<Vec<UserSummary>>;
    async fn find_user_by_email(&self, ctx: &CallContext, request: FindUserByEmail) -> Result<Option<UserSummary>>;
    async fn check_session(&self, ctx: &CallContext, request: CheckSession) -> Result<SessionState>;
    async fn jwks(&self, ctx: &CallContext, request: JwksRequest) -> Result<Jwks>;
    /// `None`: no such key, another secret, expired, revoked, or its owner is not active. Whoever has no keys knows none.
    async fn check_api_key(&self, _: &CallContext, _: CheckApiKey) -> Result<Option<ApiKeyState>> {
        Ok(None)
    }
}

/// What becomes of workspaces that a deleted person alone owned and others work in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SoleOwnedWorkspaces {
    /// The highest, then longest-standing of the others becomes owner.
    Transfer,
    /// Deleted, and purged after the time in which a workspace can be restored.
    Delete,
}

/// Facts that identity announces.
pub mod events {
    use super::{Deserialize, Serialize, SessionId, SoleOwnedWorkspaces, UserId};
    use crate::event::event;

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct UserRegistered {
        pub user_id: UserId,
        pub email: String,
        pub email_verified: bool,
        pub name: String,
    }
    event!(UserRegistered, "identity.user_registered.v1", subject: user_id, workspace: |_| None);

    /// The person proved that the address is theirs.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct EmailVerified {
        pub user_id: UserId,
        pub email: String,
        /// It was the first proof, and by a reset of the password: what was made before may be a stranger's who had registered the
        /// address, so consumers drop what would let that one in.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pub reclaimed: bool,
    }
    event!(EmailVerified, "identity.email_verified.v1", subject: user_id, workspace: |_| None);

    /// Name, time zone or locale changed.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct ProfileUpdated {
        pub user_id: UserId,
        pub name: String,
        pub time_zone: String,
        pub locale: String,
    }
    event!(ProfileUpdated, "identity.profile_updated.v1", subject: user_id, workspace: |_| None);

    /// Disabled, locked or (with `deleted`) gone for ever; consumers drop what belongs to the person alone.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct UserDeactivated {
        pub user_id: UserId,
        pub deleted: bool,
        /// What the person decided when they deleted the account; absent is like `transfer`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub sole_owned_workspaces: Option<SoleOwnedWorkspaces>,
    }
    event!(UserDeactivated, "identity.user_deactivated.v1", subject: user_id, workspace: |_| None);

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct SessionsEnded {
        pub user_id: UserId,
        /// Empty means all of the person's sessions.
        pub session_ids: Vec<SessionId>,
    }
    event!(SessionsEnded, "identity.sessions_ended.v1", subject: user_id, workspace: |_| None);
}
