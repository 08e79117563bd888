//! Whether an ID token is for us, now, and of this sign-in (OpenID Connect Core 1.0, section 3.1.3.7), and what it says of
//! the person.

use data_encoding::BASE64URL_NOPAD;
use kernel::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::Untrusted;
use super::keys::Verified;
use crate::config::IdTokenAlgorithm;
use crate::model::email::EmailAddress;
use crate::model::profile::{MAX_NAME_CHARS, parse_locale, parse_time_zone};

/// Clocks of provider and server may differ by so much, seconds.
const LEEWAY: i64 = 60;
/// OpenID Connect Core 1.0, section 2.
const MAX_SUBJECT_CHARS: usize = 255;

/// What an ID token must say.
#[derive(Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) access_token: Option<&'a str>,
    /// When the sign-in was begun.
    pub(crate) begun: Timestamp,
    pub(crate) now: Timestamp,
}

/// Who signed in at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject(pub(crate) String);

/// What the provider says of the person; nothing of it is certain but a vouched-for address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) email: Option<EmailAddress>,
    /// The provider vouches for the address.
    pub(crate) email_verified: bool,
    pub(crate) name: Option<String>,
    pub(crate) locale: Option<String>,
    pub(crate) time_zone: Option<String>,
}

/// Every rule, in the order of the specification.
pub(crate) fn check(token: &Verified, expected: &Expected<'_>) -> Result<Subject, Untrusted> {
    let claims = &token.claims;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let time = |name: &str| claims.get(name).and_then(Value::as_i64);
    let now = expected.now.as_seconds();
    let demand = |holds: bool, reason: &'static str| if holds { Ok(()) } else { Err(Untrusted(reason)) };

    demand(text("iss") == Some(expected.issuer), "the ID token has another issuer")?;
    let (for_us, others) = audience(claims.get("aud"), expected.client_id);
    demand(for_us, "the ID token is for somebody else")?;
    demand(
        !others || claims.contains_key("azp"),
        "the ID token is for several and names no party",
    )?;
    demand(
        claims.get("azp").is_none_or(|party| party == expected.client_id),
        "the ID token was asked for by another party",
    )?;
    let expires = time("exp").ok_or(Untrusted("the ID token has no end"))?;
    demand(expires.saturating_add(LEEWAY) > now, "the ID token has expired")?;
    let issued = time("iat").ok_or(Untrusted("the ID token has no beginning"))?;
    demand(
        issued <= now.saturating_add(LEEWAY) && issued.saturating_add(LEEWAY) >= expected.begun.as_seconds(),
        "the ID token is not of this time",
    )?;
    demand(
        !claims.contains_key("nbf") || time("nbf").is_some_and(|from| from <= now.saturating_add(LEEWAY)),
        "the ID token is not good yet",
    )?;
    demand(text("nonce") == Some(expected.nonce), "the ID token has another nonce")?;
    if claims.contains_key("at_hash") {
        let good = expected
            .access_token
            .is_some_and(|access| text("at_hash") == Some(&half_hash(token.algorithm, access)));
        demand(good, "the ID token belongs to another access token")?;
    }
    subject(claims).ok_or(Untrusted("the ID token names nobody that can be kept"))
}

/// Whether we are among the audience, and whether others are too.
fn audience(claim: Option<&Value>, client_id: &str) -> (bool, bool) {
    match claim {
        Some(Value::String(one)) => (one == client_id, false),
        Some(Value::Array(all)) => (all.iter().any(|one| one == client_id), all.len() > 1),
        _ => (false, false),
    }
}

/// The left half of the hash that belongs to the signature (section 3.1.3.6); Ed25519 hashes with SHA-512.
fn half_hash(algorithm: IdTokenAlgorithm, access_token: &str) -> String {
    let bytes = access_token.as_bytes();
    let hash: Vec<u8> = match algorithm {
        IdTokenAlgorithm::RS256 | IdTokenAlgorithm::PS256 | IdTokenAlgorithm::ES256 => Sha256::digest(bytes).to_vec(),
        IdTokenAlgorithm::RS384 | IdTokenAlgorithm::PS384 | IdTokenAlgorithm::ES384 => Sha384::digest(bytes).to_vec(),
        IdTokenAlgorithm::RS512 | IdTokenAlgorithm::PS512 | IdTokenAlgorithm::EdDSA => Sha512::digest(bytes).to_vec(),
    };
    BASE64URL_NOPAD.encode(&hash[..hash.len() / 2])
}

/// Printable ASCII without spaces, so that every engine tells the same ones apart.
pub(crate) fn subject(claims: &Map<String, Value>) -> Option<Subject> {
    let text = claims.get("sub").and_then(Value::as_str)?;
    let good = (1..=MAX_SUBJECT_CHARS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    good.then(|| Subject(text.to_owned()))
}

impl Profile {
    /// Of an ID token or an answer of the UserInfo endpoint. What has an odd form is as good as absent.
    pub(crate) fn read(claims: &Map<String, Value>) -> Self {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let mut ignored = Vec::new();
        let name = ["name", "preferred_username", "given_name", "nickname"]
            .iter()
            .find_map(|name| text(name).and_then(tame_name));
        Self {
            email: text("email").and_then(EmailAddress::parse),
            // Some providers send the word instead of the truth value.
            email_verified: claims.get("email_verified").is_some_and(|value| *value == true || value == "true"),
            name,
            locale: text("locale").and_then(|tag| parse_locale(&tag.replace('_', "-"), "", &mut ignored)),
            time_zone: text("zoneinfo").and_then(|zone| parse_time_zone(zone, "", &mut ignored)),
        }
    }

    /// Whether the UserInfo endpoint could add what decides about an account.
    pub(crate) const fn lacks_address(&self) -> bool {
        self.email.is_none() || !self.email_verified
    }
}

/// A name that our own rules take, or nothing.
fn tame_name(text: &str) -> Option<String> {
    let name: String = text.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect();
    let name = name.trim().to_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn good() -> Value {
        json!({
            "iss": "https://id.example.org", "aud": "guildhall", "sub": "ada", "nonce": "n-1",
            "iat": NOW - 1, "exp": NOW + 300,
        })
    }

    fn judge(claims: &Value) -> Result<Subject, Untrusted> {
        let token = Verified {
            algorithm: IdTokenAlgorithm::RS256,
            claims: claims.as_object().unwrap().clone(),
        };
        let expected = Expected {
            issuer: "https://id.example.org",
            client_id: "guildhall",
            nonce: "n-1",
            access_token: Some("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"),
            begun: Timestamp::from_seconds(NOW - 30),
            now: Timestamp::from_seconds(NOW),
        };
        check(&token, &expected)
    }

    #[test]
    fn sec_20_every_claim_of_an_id_token_is_checked() {
        assert_eq!(judge(&good()), Ok(Subject("ada".to_owned())));
        for (name, value) in [
            ("iss", json!("https://evil.example.org")),
            ("iss", Value::Null),
            ("aud", json!("another")),
            ("aud", json!(["another"])),
            ("aud", json!(["guildhall", "another"])),
            ("aud", Value::Null),
            ("azp", json!("another")),
            ("sub", json!("")),
            ("sub", json!("a b")),
            ("sub", json!("ä")),
            ("sub", json!(7)),
            ("sub", json!("a".repeat(256))),
            ("nonce", json!("n-2")),
            ("nonce", Value::Null),
            ("exp", json!(NOW - LEEWAY)),
            ("exp", Value::Null),
            ("exp", json!("soon")),
            ("iat", json!(NOW + LEEWAY + 1)),
            ("iat", json!(NOW - 30 - LEEWAY - 1)),
            ("iat", Value::Null),
            ("nbf", json!(NOW + LEEWAY + 1)),
            ("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")),
        ] {
            let mut bad = good();
            bad[name] = value.clone();
            assert!(judge(&bad).is_err(), "{name} {value}");
        }
    }

    #[test]
    fn what_the_specification_allows_is_taken() {
        let mut token = good();
        token["aud"] = json!(["account", "guildhall"]);
        token["azp"] = json!("guildhall");
        token["nbf"] = json!(NOW);
        // The example of OpenID Connect Core 1.0, appendix A.3: this access token, this hash.
        token["at_hash"] = json!("77QmUPtjPfzWtF2AnpK9RQ");
        assert!(judge(&token).is_ok(), "{:?}", judge(&token));
    }

    #[test]
    fn a_profile_takes_what_fits_and_leaves_the_rest() {
        let read = |claims: Value| Profile::read(claims.as_object().unwrap());
        let full = read(json!({
            "email": "Ada@Example.org", "email_verified": "true", "name": " Ada\u{7} Lovelace ", "locale": "en_GB", "zoneinfo": "Europe/London",
        }));
        assert_eq!(full.email.as_ref().unwrap().as_str(), "ada@example.org");
        assert_eq!(
            (full.name.as_deref(), full.locale.as_deref()),
            (Some("Ada Lovelace"), Some("en-GB"))
        );
        assert!(full.time_zone.as_deref() == Some("Europe/London") && !full.lacks_address());
        let odd =
            json!({ "email": 7, "email_verified": 1, "name": "", "preferred_username": "ada", "locale": "??", "zoneinfo": "Mars/Base" });
        let odd = read(odd);
        assert!(odd.lacks_address() && !odd.email_verified && odd.name.as_deref() == Some("ada"));
        assert!(read(json!({ "email": "ada@example.org" })).lacks_address());
    }
}
