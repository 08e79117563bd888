//! Credentials of programs that act for a person.

use kernel::Timestamp;
use kernel::ids::{ApiKeyId, UserId};
use kernel::scopes::ScopeSet;

use super::token::Hash;

#[derive(Debug, Clone)]
pub(crate) struct ApiKey {
    pub(crate) id: ApiKeyId,
    pub(crate) user_id: UserId,
    /// For the owner to tell keys apart.
    pub(crate) name: String,
    pub(crate) scopes: ScopeSet,
    /// SHA-256 of the secret, which has 256 bits: nothing slower is needed.
    pub(crate) secret_hash: Hash,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// To the minute.
    pub(crate) last_used_at: Option<Timestamp>,
    pub(crate) revoked_at: Option<Timestamp>,
    pub(crate) version: i64,
}

impl ApiKey {
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}
