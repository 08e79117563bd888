//! Calendar feeds: a secret link to what is due.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use kernel::Timestamp;
use kernel::ids::UserId;
use sha2::{Digest, Sha256};

kernel::id_type!(
    /// A calendar feed.
    FeedId,
);

/// Most feeds of one person.
pub(crate) const MAX_FEEDS: usize = 20;
/// Most events of one feed.
pub(crate) const MAX_EVENTS: u64 = 1_000;
/// What is longer overdue than this is left out, in days.
pub(crate) const PAST_DAYS: u64 = 90;
/// What a feed shows when nothing else is asked for.
pub(crate) const DEFAULT_QUERY: &str = "assignee=me&status=open,in_progress";

const TOKEN_BYTES: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Feed {
    pub id: FeedId,
    pub user_id: UserId,
    pub name: String,
    /// Filters as in `GET /v1/tasks?…`.
    pub query: String,
    pub created_at: Timestamp,
}

/// 256 random bits, shown once. Only the SHA-256 is stored: full entropy needs no slow hash.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct FeedToken(String);

impl std::fmt::Debug for FeedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FeedToken(redacted)")
    }
}

impl FeedToken {
    /// From the thread's CSPRNG (ChaCha, seeded by the operating system).
    pub fn random() -> Self {
        Self(BASE64URL_NOPAD.encode(&rand::random::<[u8; TOKEN_BYTES]>()))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
    pub fn hash(&self) -> String {
        hash(&self.0)
    }
}

/// The hash a presented token is looked up by; `None` when the text cannot be one of ours.
pub(crate) fn hash_of_presented(token: &str) -> Option<String> {
    let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
    (bytes.len() == TOKEN_BYTES).then(|| hash(token))
}

/// Hex SHA-256.
pub(crate) fn hash(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_different_and_silent() {
        let (one, other) = (FeedToken::random(), FeedToken::random());
        assert_ne!(one, other);
        assert_eq!((one.as_str().len(), one.hash().len()), (43, 64));
        assert_eq!(hash_of_presented(one.as_str()), Some(one.hash()));
        assert_eq!(format!("{one:?}"), "FeedToken(redacted)");
        for none in ["", "abc", "not base64!", &"A".repeat(44)] {
            assert_eq!(hash_of_presented(none), None, "{none}");
        }
    }
}
