//! Secrets that must be read again (signing keys of webhooks, seeds of one-time passwords), sealed at rest.
//!
//! XChaCha20-Poly1305 (<https://datatracker.ietf.org/doc/html/draft-irtf-cfrg-xchacha-03>) under a key derived from the
//! installation secret, which lies outside the database: whoever reads the database alone reads none of them. The nonce
//! of 24 bytes is random, so no count of messages has to be kept.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use data_encoding::BASE64URL_NOPAD;
use kernel::{Error, Result};

/// First part of everything sealed, so that the method can change one day.
const VERSION: &str = "v1.";
const NONCE_BYTES: usize = 24;

/// Seals and opens. One per service, from a key for that purpose alone.
#[derive(Clone)]
pub struct SealKey {
    cipher: XChaCha20Poly1305,
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey")
    }
}

impl SealKey {
    pub fn new(key: [u8; 32]) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(&key.into()),
        }
    }

    /// ASCII text for a column, `v1.` and base64url. `context` names the place it belongs to, such as `webhooks.secret/<id>`:
    /// a sealed text that is moved to another row does not open there.
    pub fn seal(&self, plain: &[u8], context: &str) -> Result<String> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload {
            msg: plain,
            aad: context.as_bytes(),
        };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| Error::internal("a secret cannot be sealed"))?;
        Ok(format!("{VERSION}{}", BASE64URL_NOPAD.encode(&[&nonce[..], &sealed].concat())))
    }

    /// An internal error when the text was changed, sealed for another context, or sealed under another installation secret.
    pub fn open(&self, sealed: &str, context: &str) -> Result<Vec<u8>> {
        let unreadable = || {
            Error::internal(format!(
                "the sealed secret of {context} does not open: changed, or another installation secret"
            ))
        };
        let text = sealed.strip_prefix(VERSION).ok_or_else(unreadable)?;
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| unreadable())?;
        let (nonce, message) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or_else(unreadable)?;
        let payload = Payload {
            msg: message,
            aad: context.as_bytes(),
        };
        self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| unreadable())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> SealKey {
        SealKey::new([7; 32])
    }

    proptest! {
        #[test]
        fn opens_what_it_sealed(plain in proptest::collection::vec(any::<u8>(), 0..100), context in ".{0,40}") {
            let sealed = key().seal(&plain, &context).unwrap();
            prop_assert_eq!(key().open(&sealed, &context).unwrap(), plain);
        }

        #[test]
        fn refuses_every_changed_letter(place in any::<prop::sample::Index>(), letter in "[A-Za-z0-9_-]") {
            let sealed = key().seal(b"secret", "here").unwrap();
            let index = place.index(sealed.len());
            let changed = format!("{}{letter}{}", &sealed[..index], &sealed[index + 1..]);
            prop_assume!(changed != sealed);
            prop_assert!(key().open(&changed, "here").is_err());
        }

        #[test]
        fn rubbish_is_an_error(text in ".{0,100}") {
            prop_assert!(key().open(&text, "here").is_err());
        }
    }

    #[test]
    fn sec_29_no_two_seals_are_alike_and_none_opens_elsewhere() {
        let sealed = key().seal(b"secret", "here").unwrap();
        assert_ne!(sealed, key().seal(b"secret", "here").unwrap());
        assert!(key().open(&sealed, "there").is_err());
        assert!(SealKey::new([8; 32]).open(&sealed, "here").is_err());
        assert_eq!(format!("{:?}", key()), "SealKey");
    }
}
