//! The provider's keys (RFC 7517), and whether one of them signed a token (RFC 7515, RFC 8725).

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Untrusted;
use crate::config::IdTokenAlgorithm;

/// More than any provider has; what comes after is not looked at.
const MAX_KEYS: usize = 100;
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// Bytes of an RSA modulus: 2048 bits at least (NIST SP 800-131A), 8192 at most, for larger ones only cost time.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;

const RSA: [IdTokenAlgorithm; 6] = [
    IdTokenAlgorithm::RS256,
    IdTokenAlgorithm::RS384,
    IdTokenAlgorithm::RS512,
    IdTokenAlgorithm::PS256,
    IdTokenAlgorithm::PS384,
    IdTokenAlgorithm::PS512,
];

impl IdTokenAlgorithm {
    fn parse(name: &str) -> Option<Self> {
        serde_json::from_value(Value::from(name)).ok()
    }

    const fn verifier(self) -> Algorithm {
        match self {
            Self::RS256 => Algorithm::RS256,
            Self::RS384 => Algorithm::RS384,
            Self::RS512 => Algorithm::RS512,
            Self::PS256 => Algorithm::PS256,
            Self::PS384 => Algorithm::PS384,
            Self::PS512 => Algorithm::PS512,
            Self::ES256 => Algorithm::ES256,
            Self::ES384 => Algorithm::ES384,
            Self::EdDSA => Algorithm::EdDSA,
        }
    }
}

/// A key and what it may have signed with.
#[derive(Clone)]
struct Key {
    id: Option<String>,
    algorithms: Vec<IdTokenAlgorithm>,
    key: DecodingKey,
}

/// The keys of one provider, as fetched.
#[derive(Clone, Default)]
pub(crate) struct KeySet(Vec<Key>);

/// Why a token was not verified.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unverified {
    /// Signed by a key that is not in the set: fetch it anew, the provider may have rotated.
    UnknownKey,
    Untrusted(Untrusted),
}

impl From<Untrusted> for Unverified {
    fn from(reason: Untrusted) -> Self {
        Self::Untrusted(reason)
    }
}

/// A token whose signature is good; its claims are yet to be judged.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) algorithm: IdTokenAlgorithm,
    pub(crate) claims: Map<String, Value>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl KeySet {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Untrusted> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document = serde_json::from_slice(bytes).map_err(|_| Untrusted("the key set cannot be read"))?;
        Ok(Self(document.keys.iter().take(MAX_KEYS).filter_map(read_key).collect()))
    }

    /// The claims of `token`, if one of these keys signed it with one of the `allowed` algorithms. Which algorithm a key is
    /// for follows from the key; where a key lies is never learnt from the token.
    pub(crate) fn verify(&self, token: &str, allowed: &[IdTokenAlgorithm]) -> Result<Verified, Unverified> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Untrusted("the ID token is too long").into());
        }
        let header = read_header(token)?;
        if header.crit.is_some() {
            return Err(Untrusted("the ID token has critical extensions").into());
        }
        let algorithm = IdTokenAlgorithm::parse(&header.alg).filter(|algorithm| allowed.contains(algorithm));
        let algorithm = algorithm.ok_or(Untrusted("the ID token is signed in a way that is not allowed"))?;
        let fitting = self.0.iter().filter(|key| key.algorithms.contains(&algorithm));
        let mut candidates = fitting.filter(|key| header.kid.is_none() || key.id == header.kid);
        let key = candidates.next().ok_or(Unverified::UnknownKey)?;
        if header.kid.is_none() && candidates.next().is_some() {
            return Err(Untrusted("the ID token does not say which of several keys signed it").into());
        }
        let mut validation = Validation::new(algorithm.verifier());
        // Claims are judged by `claims::check`, times among them by our own clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        match jsonwebtoken::decode::<Map<String, Value>>(token, &key.key, &validation) {
            Ok(token) => Ok(Verified {
                algorithm,
                claims: token.claims,
            }),
            // Without a name it may just be another key than the one we hold.
            Err(_) if header.kid.is_none() => Err(Unverified::UnknownKey),
            Err(_) => Err(Untrusted("the signature of the ID token is wrong").into()),
        }
    }
}

fn read_header(token: &str) -> Result<Header, Untrusted> {
    let part = token.split('.').next().unwrap_or_default();
    let json = BASE64URL_NOPAD.decode(part.as_bytes()).ok();
    json.and_then(|json| serde_json::from_slice(&json).ok())
        .ok_or(Untrusted("the ID token cannot be read"))
}

fn read_key(jwk: &Value) -> Option<Key> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let for_signatures = text("use").is_none_or(|purpose| purpose == "sig");
    let verifies = |list: &Vec<Value>| list.iter().any(|operation| operation == "verify");
    if !for_signatures || !jwk.get("key_ops").and_then(Value::as_array).is_none_or(verifies) {
        return None;
    }
    // Of the right length, as RFC 7518, 6.2.1.2 and RFC 8032 have it: verifying with a shorter one panics.
    let whole = |name: &str, bytes: usize| {
        let coordinate = BASE64URL_NOPAD.decode(text(name)?.as_bytes()).ok()?;
        (coordinate.len() == bytes).then(|| text(name)).flatten()
    };
    let ec = |bytes: usize| Some(DecodingKey::from_ec_components(whole("x", bytes)?, whole("y", bytes)?));
    let (algorithms, key): (&[IdTokenAlgorithm], _) = match (text("kty")?, text("crv")) {
        ("RSA", _) => {
            let modulus = BASE64URL_NOPAD.decode(text("n")?.as_bytes()).ok()?;
            let length = modulus.iter().skip_while(|byte| **byte == 0).count();
            if !RSA_BYTES.contains(&length) {
                return None;
            }
            (&RSA, DecodingKey::from_rsa_components(text("n")?, text("e")?))
        }
        ("EC", Some("P-256")) => (&[IdTokenAlgorithm::ES256], ec(32)?),
        ("EC", Some("P-384")) => (&[IdTokenAlgorithm::ES384], ec(48)?),
        ("OKP", Some("Ed25519")) => (&[IdTokenAlgorithm::EdDSA], DecodingKey::from_ed_components(whole("x", 32)?)),
        _ => return None,
    };
    let algorithms = match text("alg") {
        None => algorithms.to_vec(),
        Some(name) => algorithms
            .iter()
            .copied()
            .filter(|one| IdTokenAlgorithm::parse(name) == Some(*one))
            .collect(),
    };
    Some(Key {
        id: text("kid").map(str::to_owned),
        algorithms,
        key: key.ok()?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 8037, appendix A: key, and a token signed with it.
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn set(keys: Value) -> KeySet {
        KeySet::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn sec_20_keys_for_other_ends_and_weak_ones_count_for_nothing() {
        let ed = json!({ "kty": "OKP", "crv": "Ed25519", "x": X, "kid": "a" });
        let with = |name: &str, value: Value| {
            let mut key = ed.clone();
            key[name] = value;
            set(json!([key])).0.first().is_some_and(|key| !key.algorithms.is_empty())
        };
        assert!(with("use", json!("sig")) && with("alg", json!("EdDSA")) && with("key_ops", json!(["verify"])));
        assert!(!with("use", json!("enc")) && !with("alg", json!("RS256")) && !with("key_ops", json!(["encrypt"])));
        assert!(!with("kty", json!("oct")) && !with("crv", json!("X25519")));
        let rsa = |bytes: usize| json!({ "kty": "RSA", "n": BASE64URL_NOPAD.encode(&vec![0xff; bytes]), "e": "AQAB" });
        // The fuzzer's: verifying with such a key panicked.
        let short = json!({ "kty": "OKP", "crv": "Ed25519", "x": BASE64URL_NOPAD.encode(&[1; 23]) });
        let point = json!({ "kty": "EC", "crv": "P-256", "x": X, "y": "AQ" });
        assert_eq!(set(json!([short, point])).0.len(), 0);
        assert_eq!(set(json!([rsa(255), rsa(128), rsa(1_025)])).0.len(), 0);
        assert_eq!(set(json!([rsa(256), json!({ "kty": "oct", "k": "AAAA" }), json!(7)])).0.len(), 1);
        assert!(KeySet::read(b"[]").is_err());
    }

    #[test]
    fn sec_20_none_and_hmac_are_refused_before_any_key_is_looked_at() {
        let keys = set(json!([{ "kty": "OKP", "crv": "Ed25519", "x": X, "kid": "a" }]));
        let token = |header: Value| format!("{}.e30.", BASE64URL_NOPAD.encode(header.to_string().as_bytes()));
        let every = [IdTokenAlgorithm::EdDSA, IdTokenAlgorithm::RS256];
        for header in [
            json!({ "alg": "none" }),
            json!({ "alg": "HS256", "kid": "a" }),
            json!({ "alg": "nOnE", "kid": "a" }),
            json!({ "alg": "ES256", "kid": "a" }),
            json!({ "alg": "EdDSA", "kid": "a", "crit": ["b64"] }),
            json!({ "alg": "EdDSA", "kid": "a" }),
        ] {
            assert!(
                matches!(keys.verify(&token(header.clone()), &every), Err(Unverified::Untrusted(_))),
                "{header}"
            );
        }
        let unknown = token(json!({ "alg": "EdDSA", "kid": "b" }));
        assert_eq!(keys.verify(&unknown, &every).unwrap_err(), Unverified::UnknownKey);
        assert!(matches!(keys.verify("", &every), Err(Unverified::Untrusted(_))));
        assert!(matches!(keys.verify(&"a".repeat(20_000), &every), Err(Unverified::Untrusted(_))));
    }
}
