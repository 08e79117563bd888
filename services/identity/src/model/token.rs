//! Opaque tokens: random or derived, at least 128 bit, only a keyed hash of them is stored.
//!
//! Derived ones come from HMAC-SHA256 under a key made from the installation secret, which never
//! lies in the database: whoever reads the database alone can make none of them.

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use hmac::Mac;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

pub(crate) const REFRESH_PREFIX: &str = "ghr_";
/// Of a sign-in that waits for its second step.
pub(crate) const CHALLENGE_PREFIX: &str = "ghm_";
pub(crate) const MAX_TOKEN_CHARS: usize = 200;

pub(crate) type Hash = [u8; 32];

pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// HMAC-SHA-256 as 32 bytes, see [`kernel::mac`].
pub(crate) fn hmac_sha256(key: &Hash, parts: &[&[u8]]) -> Hash {
    kernel::mac::hmac_sha256(key, parts).finalize().into_bytes().into()
}

/// 256 random bits from the operating system's generator (through rand's reseeding ChaCha).
pub(crate) fn random() -> Hash {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes[..]);
    bytes
}

/// Keys for each use, derived from the installation secret, so that no use can stand in for another.
#[derive(Clone)]
pub(crate) struct Keyring {
    pub(crate) refresh: Hash,
    pub(crate) mail: Hash,
    pub(crate) throttle: Hash,
    pub(crate) signing: Hash,
    pub(crate) setup: Hash,
    at_rest: Hash,
    /// Of seeds of one-time passwords.
    pub(crate) seal: Hash,
}

impl Keyring {
    pub(crate) fn derive(secret: &[u8; 32]) -> Self {
        let key = |label: &str| hmac_sha256(secret, &[b"guildhall identity v1", label.as_bytes()]);
        Self {
            refresh: key("refresh token"),
            mail: key("mail token"),
            throttle: key("throttle"),
            signing: key("signing key"),
            setup: key("set-up code"),
            at_rest: key("token at rest"),
            seal: key("seal"),
        }
    }

    /// What a refresh token turns into. Deterministic, so that two nodes, or one asked twice, give the same successor;
    /// not computable without both the parent and the server's key.
    pub(crate) fn refresh_successor(&self, parent: &SecretString) -> SecretString {
        render(REFRESH_PREFIX, &hmac_sha256(&self.refresh, &[parent.expose_secret().as_bytes()]))
    }

    /// The token of a mailed link. The random nonce travels with the scheduled mail; without the key it is worth nothing.
    pub(crate) fn mail_token(&self, prefix: &str, nonce: &[u8]) -> SecretString {
        render(prefix, &hmac_sha256(&self.mail, &[prefix.as_bytes(), nonce]))
    }

    /// What is stored of a token. Keyed, so that a token made under another installation secret is unknown: changing the
    /// secret signs everybody out and voids every link.
    pub(crate) fn fingerprint(&self, token: &SecretString) -> Hash {
        hmac_sha256(&self.at_rest, &[token.expose_secret().as_bytes()])
    }

    /// The one-time code of the console: 130 bits in groups people can copy.
    pub(crate) fn setup_code(&self, nonce: &[u8]) -> SecretString {
        let text = BASE32_NOPAD.encode(&hmac_sha256(&self.setup, &[nonce]));
        let groups: Vec<&str> = (0..5).filter_map(|i| text.get(i * 5..i * 5 + 5)).collect();
        SecretString::from(format!("{}-{}", groups.join("-"), text.get(25..26).unwrap_or_default()))
    }
}

/// 256 random bits.
pub(crate) fn new_token(prefix: &str) -> SecretString {
    render(prefix, &random())
}

fn render(prefix: &str, bytes: &[u8]) -> SecretString {
    SecretString::from(format!("{prefix}{}", BASE64URL_NOPAD.encode(bytes)))
}

/// People type codes in lower case, with spaces or without dashes.
pub(crate) fn fold_code(code: &str) -> String {
    code.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_13_refresh_successors_are_deterministic_per_installation_and_256_bit() {
        let keys = Keyring::derive(&[7; 32]);
        let parent = new_token(REFRESH_PREFIX);
        let child = keys.refresh_successor(&parent);
        assert_eq!(child.expose_secret(), keys.refresh_successor(&parent).expose_secret());
        assert_ne!(child.expose_secret(), parent.expose_secret());
        assert_ne!(
            child.expose_secret(),
            Keyring::derive(&[8; 32]).refresh_successor(&parent).expose_secret(),
            "another installation derives another child"
        );
        let body = child.expose_secret().strip_prefix(REFRESH_PREFIX).unwrap();
        assert_eq!(BASE64URL_NOPAD.decode(body.as_bytes()).unwrap().len() * 8, 256);
    }

    #[test]
    fn sec_16_no_kind_of_token_stands_in_for_another() {
        let keys = Keyring::derive(&[7; 32]);
        assert_ne!(
            keys.mail_token("ghv_", b"n").expose_secret().get(4..),
            keys.mail_token("ghp_", b"n").expose_secret().get(4..)
        );
        assert_ne!(hmac_sha256(&[1; 32], &[b"ab", b"c"]), hmac_sha256(&[1; 32], &[b"a", b"bc"]));
    }

    #[test]
    fn set_up_codes_can_be_typed() {
        let code = Keyring::derive(&[7; 32]).setup_code(b"n");
        assert_eq!(code.expose_secret().len(), 31);
        assert_eq!(fold_code(code.expose_secret()).len() * 5, 130);
        assert_eq!(
            fold_code(&code.expose_secret().to_lowercase().replace('-', " ")),
            fold_code(code.expose_secret())
        );
    }
}
