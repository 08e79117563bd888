//! Keys that sign access tokens, and how they are published (RFC 7517, RFC 7518, RFC 8037).

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::Signer as _;
use p256::ecdsa::Signature as P256Signature;
use serde_json::{Value, json};

use crate::config::SigningAlgorithm;
use crate::model::token::{Hash, hmac_sha256, sha256};

enum Private {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::ecdsa::SigningKey),
}

/// A signing key with its public part. The private part exists in memory only.
pub(crate) struct SigningKey {
    private: Private,
    x: Hash,
    /// Of keys on P-256.
    y: Option<Hash>,
}

impl SigningAlgorithm {
    /// As JOSE names it.
    pub(crate) const fn jose(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    /// As the database names it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "eddsa",
            Self::Es256 => "es256",
        }
    }
}

impl std::str::FromStr for SigningAlgorithm {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::EdDsa, Self::Es256]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or_else(|| format!("unknown signing algorithm {text:?}"))
    }
}

impl SigningKey {
    /// The same key for the same secret and salt, on every replica. `None` never happens in practice: one number in
    /// 2^32 is no private key of P-256, and 256 are tried.
    pub(crate) fn derive(algorithm: SigningAlgorithm, secret: &Hash, salt: &Hash) -> Option<Self> {
        match algorithm {
            SigningAlgorithm::EdDsa => {
                let key = ed25519_dalek::SigningKey::from_bytes(&hmac_sha256(secret, &[salt]));
                Some(Self {
                    x: key.verifying_key().to_bytes(),
                    y: None,
                    private: Private::Ed25519(key),
                })
            }
            SigningAlgorithm::Es256 => {
                let key =
                    (0..=u8::MAX).find_map(|n| p256::ecdsa::SigningKey::from_slice(&hmac_sha256(secret, &[salt, b"ES256", &[n]])).ok())?;
                let point = key.verifying_key().to_encoded_point(false);
                let coordinate = |bytes: Option<&p256::FieldBytes>| bytes.map(|bytes| Hash::from(*bytes));
                Some(Self {
                    x: coordinate(point.x())?,
                    y: Some(coordinate(point.y())?),
                    private: Private::P256(key),
                })
            }
        }
    }

    pub(crate) const fn algorithm(&self) -> SigningAlgorithm {
        match self.private {
            Private::Ed25519(_) => SigningAlgorithm::EdDsa,
            Private::P256(_) => SigningAlgorithm::Es256,
        }
    }

    /// What tells whether a row was made under this installation's secret.
    pub(crate) const fn x(&self) -> &Hash {
        &self.x
    }

    /// 64 bytes, as JWS wants them; both kinds are deterministic (RFC 8032, RFC 6979).
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.private {
            Private::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Private::P256(key) => {
                let signature: P256Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
        }
    }

    /// RFC 7638 thumbprint: the key names itself.
    pub(crate) fn thumbprint(&self) -> String {
        BASE64URL_NOPAD.encode(&sha256(self.required_members().to_string().as_bytes()))
    }

    /// The published key.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = self.required_members();
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.algorithm().jose());
        jwk["kid"] = json!(self.thumbprint());
        jwk
    }

    /// In the lexicographic order that RFC 7638 wants, whether maps of `serde_json` sort or keep what they are given.
    fn required_members(&self) -> Value {
        let x = BASE64URL_NOPAD.encode(&self.x);
        match &self.y {
            None => json!({ "crv": "Ed25519", "kty": "OKP", "x": x }),
            Some(y) => json!({ "crv": "P-256", "kty": "EC", "x": x, "y": BASE64URL_NOPAD.encode(y) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprint_matches_rfc_8037_appendix_a_3() {
        let decoded = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        let private: Hash = decoded("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").try_into().unwrap();
        let key = ed25519_dalek::SigningKey::from_bytes(&private);
        let key = SigningKey {
            x: key.verifying_key().to_bytes(),
            y: None,
            private: Private::Ed25519(key),
        };
        assert_eq!(key.jwk()["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn keys_are_the_same_on_every_replica_and_differ_by_secret_salt_and_algorithm() {
        let x = |algorithm, secret: u8, salt: u8| *SigningKey::derive(algorithm, &[secret; 32], &[salt; 32]).unwrap().x();
        for algorithm in [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256] {
            assert_eq!(x(algorithm, 1, 2), x(algorithm, 1, 2));
            assert_ne!(x(algorithm, 1, 2), x(algorithm, 2, 2));
            assert_ne!(x(algorithm, 1, 2), x(algorithm, 1, 3));
        }
        assert_ne!(x(SigningAlgorithm::EdDsa, 1, 2), x(SigningAlgorithm::Es256, 1, 2));
    }

    #[test]
    fn the_published_key_has_nothing_private() {
        let members = |algorithm| {
            let jwk = SigningKey::derive(algorithm, &[1; 32], &[2; 32]).unwrap().jwk();
            jwk.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>()
        };
        let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(members(SigningAlgorithm::EdDsa), named(&["alg", "crv", "kid", "kty", "use", "x"]));
        assert_eq!(
            members(SigningAlgorithm::Es256),
            named(&["alg", "crv", "kid", "kty", "use", "x", "y"])
        );
    }
}
