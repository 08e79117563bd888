//! Accounts at sign-in providers by which people come in.

use kernel::Timestamp;
use kernel::ids::{ExternalIdentityId, UserId};

/// More at once than a person can plausibly have.
pub(crate) const MAX_EXTERNAL_IDENTITIES: usize = 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExternalIdentity {
    pub(crate) id: ExternalIdentityId,
    pub(crate) user_id: UserId,
    pub(crate) issuer: String,
    /// Unique and for ever the same within the issuer; the address there is neither.
    pub(crate) subject: String,
    /// As the provider said when it was linked, for the person to tell accounts apart.
    pub(crate) email: Option<String>,
    pub(crate) created_at: Timestamp,
    /// The last sign-in with it.
    pub(crate) last_used_at: Option<Timestamp>,
}
