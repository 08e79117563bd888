//! Invitations and the tokens that open them.

use data_encoding::BASE64URL_NOPAD;
use kernel::Timestamp;
use kernel::ids::{InvitationId, UserId, WorkspaceId};
use kernel::roles::{Role, SalesRole};
use sha2::{Digest, Sha256};

use super::Standing;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invitation {
    pub id: InvitationId,
    pub workspace_id: WorkspaceId,
    pub state: InvitationState,
    /// Lower-cased; `None` for a link that anybody may use.
    pub email: Option<String>,
    pub role: Role,
    pub sales_role: Option<SalesRole>,
    /// A link can be for many; an invitation by e-mail never is.
    pub single_use: bool,
    pub uses: i64,
    pub invited_by: UserId,
    /// The account that was registered by this link for one, or is about to be.
    pub claim: Option<Claim>,
    pub version: i64,
    pub expires_at: Timestamp,
    /// When the last mail was handed to the outbox.
    pub sent_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Invitation {
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.state == InvitationState::Pending && now < self.expires_at
    }
    /// For the `ETag`: that the time ran out shows, but changes no version.
    pub fn tag(&self, now: Timestamp) -> i64 {
        let expired = self.state == InvitationState::Pending && !self.is_open(now);
        self.version * 2 + i64::from(expired)
    }
    pub fn standing(&self) -> Standing {
        Standing {
            role: self.role,
            sales_role: self.sales_role,
        }
    }
    /// Made for this address, or for nobody in particular.
    pub fn is_for(&self, email: &str) -> bool {
        self.email.as_deref().is_none_or(|invited| invited == email.to_lowercase())
    }
}

/// One use of an invitation, set apart for the account that is made by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub user_id: UserId,
    /// [`claim_tag`] of the address that registers.
    pub tag: Vec<u8>,
    pub at: Timestamp,
}

/// Recognises the address that claimed an invitation without storing it: the token, 256 bits nobody finds in the database,
/// goes into the hash.
pub(crate) fn claim_tag(token: &str, email: &str) -> Vec<u8> {
    let tag = Sha256::new()
        .chain_update(token)
        .chain_update([0])
        .chain_update(email.to_lowercase());
    tag.finalize().to_vec()
}

/// Stored state. That time ran out is not stored: it follows from `expires_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvitationState {
    Pending,
    Accepted,
    Declined,
    Revoked,
}

impl InvitationState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Declined => "declined",
            Self::Revoked => "revoked",
        }
    }
}

impl std::str::FromStr for InvitationState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Pending, Self::Accepted, Self::Declined, Self::Revoked]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("unknown invitation state {text:?}"))
    }
}

/// 256 random bits, shown once to whoever is invited. Only the SHA-256 is stored: the token has full entropy, so
/// a slow hash would add nothing.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct InvitationToken(String);

impl std::fmt::Debug for InvitationToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InvitationToken(redacted)")
    }
}

pub(crate) const TOKEN_BYTES: usize = 32;

impl InvitationToken {
    /// From the thread's CSPRNG (ChaCha, seeded by the operating system).
    pub fn random() -> Self {
        Self(BASE64URL_NOPAD.encode(&rand::random::<[u8; TOKEN_BYTES]>()))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
    pub fn hash(&self) -> Vec<u8> {
        hash(&self.0)
    }
}

/// The hash a presented token is looked up by; `None` when the text cannot be one of ours.
pub(crate) fn hash_of_presented(token: &str) -> Option<Vec<u8>> {
    let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
    (bytes.len() == TOKEN_BYTES).then(|| hash(token))
}

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn tokens_are_long_different_and_silent() {
        let tokens: HashSet<String> = (0..1_000).map(|_| InvitationToken::random().as_str().to_owned()).collect();
        assert_eq!(tokens.len(), 1_000);
        assert!(tokens.iter().all(|token| token.len() == 43));
        let token = InvitationToken::random();
        assert!(!format!("{token:?}").contains(token.as_str()));
        assert_eq!(hash_of_presented(token.as_str()), Some(token.hash()));
        assert_ne!(token.hash(), token.as_str().as_bytes());
    }

    #[test]
    fn what_cannot_be_a_token_is_not_looked_up() {
        assert_eq!(hash_of_presented(""), None);
        assert_eq!(hash_of_presented("x"), None);
        assert_eq!(hash_of_presented(&"A".repeat(44)), None);
    }
}
