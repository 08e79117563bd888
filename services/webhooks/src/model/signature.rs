//! Signatures of Standard Webhooks
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>), symmetric scheme `v1`.

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use kernel::{Error, Result};
use sha2::Sha256;

const PREFIX: &str = "whsec_";
/// The specification wants 24 to 64 bytes.
const SECRET_BYTES: usize = 32;

/// The key that sender and receiver share.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SigningSecret(Vec<u8>);

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningSecret")
    }
}

impl SigningSecret {
    pub fn random() -> Self {
        Self(rand::random::<[u8; SECRET_BYTES]>().to_vec())
    }
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
    /// `whsec_` and base64, as people copy it.
    pub fn shown(&self) -> String {
        format!("{PREFIX}{}", BASE64.encode(&self.0))
    }

    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> Result<String> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0).map_err(Error::internal)?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Ok(format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes())))
    }
}

/// The value of `webhook-signature`: one signature per secret, separated by spaces. `timestamp` is that of this attempt,
/// in seconds.
pub(crate) fn signatures(secrets: &[SigningSecret], id: &str, timestamp: i64, body: &[u8]) -> Result<String> {
    let all: Vec<String> = secrets
        .iter()
        .map(|secret| secret.sign(id, timestamp, body))
        .collect::<Result<_>>()?;
    Ok(all.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SigningSecret {
        let encoded = text.strip_prefix(PREFIX).expect("the prefix");
        SigningSecret::from_bytes(BASE64.decode(encoded.as_bytes()).expect("base64"))
    }

    /// The vector that the reference libraries of the specification share.
    #[test]
    fn the_published_vector_is_signed_as_published() {
        let secret = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed = signatures(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed.expect("signed"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_signs_and_every_part_counts() {
        let (new, old) = (SigningSecret::random(), SigningSecret::random());
        let both = signatures(&[new.clone(), old.clone()], "msg_1", 7, b"{}").expect("signed");
        let parts: Vec<&str> = both.split(' ').collect();
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0], signatures(std::slice::from_ref(&new), "msg_1", 7, b"{}").expect("signed"));
        assert_eq!(parts[1], signatures(&[old], "msg_1", 7, b"{}").expect("signed"));
        for (id, timestamp, body) in [("msg_2", 7, &b"{}"[..]), ("msg_1", 8, b"{}"), ("msg_1", 7, b"{ }")] {
            assert_ne!(
                signatures(std::slice::from_ref(&new), id, timestamp, body).expect("signed"),
                parts[0]
            );
        }
    }

    #[test]
    fn a_secret_is_shown_as_the_specification_says_and_never_by_debug() {
        let random = SigningSecret::random();
        assert!((24..=64).contains(&random.bytes().len()));
        assert_eq!(secret(&random.shown()), random);
        assert_eq!(format!("{random:?}"), "SigningSecret");
    }
}
