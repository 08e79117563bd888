//! Targets of the fuzzer for what reads other people's text: addresses, codes, and the answers of sign-in providers.
//!
//! A target takes any bytes, and panics when the code that reads them breaks a promise. See `fuzz/README.md`.

use kernel::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::config::{IdTokenAlgorithm, OidcConfig, OidcProvider};
use crate::model::email::{EmailAddress, MAX_EMAIL_CHARS};
use crate::model::oidc::claims::{self, Expected, Profile};
use crate::model::oidc::discovery::Metadata;
use crate::model::oidc::flow;
use crate::model::oidc::keys::{KeySet, Verified};
use crate::model::second_factor::{Code, MAX_CODE_CHARS};
use crate::model::token::fold_code;

/// Addresses and codes: one spelling each, bounded, nothing in them that a mail header or a page could take for its own.
pub fn credentials(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(address) = EmailAddress::parse(&text) {
        assert_eq!(EmailAddress::parse(address.as_str()).as_ref(), Some(&address));
        let plain = address.as_str();
        assert!(plain.len() <= MAX_EMAIL_CHARS && plain.matches('@').count() == 1);
        assert!(
            !plain.contains(|c: char| c.is_control() || c.is_whitespace() || "<>,;:\"()[]\\".contains(c)),
            "{plain:?}"
        );
    }
    let folded = fold_code(&text);
    assert_eq!(fold_code(&folded), folded);
    if let Some(Code::OneTime(code)) = Code::parse(&SecretString::from(text.as_ref())) {
        assert!(code.len() <= MAX_CODE_CHARS && code.bytes().all(|byte| byte.is_ascii_digit()));
    }
    let own = "https://guild.example.org";
    let allowed = ["https://app.example.org".to_owned()];
    if let Some(target) = flow::return_target(&text, own, &allowed) {
        let ours = [own, &allowed[0]].into_iter().any(|origin| {
            let rest = target.strip_prefix(origin);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
        });
        assert!(ours, "{text:?} leads to {target:?}");
        assert!(!target.contains(|c: char| c.is_control() || c.is_whitespace()));
        assert!(flow::with_outcome(&target, &[("outcome", "signed_in")]).contains("outcome=signed_in"));
    }
}

/// What a sign-in provider answers: its description, its keys, and the claims of its tokens.
pub fn provider(bytes: &[u8]) {
    let provider = OidcProvider {
        issuer: "https://id.example.org".to_owned(),
        ..OidcProvider::default()
    };
    if let Ok(metadata) = Metadata::read(bytes, &provider, &OidcConfig::default()) {
        for endpoint in [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri] {
            assert!(endpoint.to_ascii_lowercase().starts_with("https:"), "{endpoint:?}");
        }
    }
    let text = String::from_utf8_lossy(bytes);
    let (keys, token) = text.split_once('\0').unwrap_or((&text, &text));
    if let Ok(keys) = KeySet::read(keys.as_bytes()) {
        // A good signature needs a key that somebody made; the fuzzer can put one into its key set, and then it is good.
        let _ = keys.verify(token, &[IdTokenAlgorithm::RS256, IdTokenAlgorithm::ES256, IdTokenAlgorithm::EdDSA]);
    }
    if let Ok(claims) = serde_json::from_slice::<Map<String, Value>>(bytes) {
        judged(claims);
    }
}

fn judged(claims: Map<String, Value>) {
    const NOW: i64 = 1_800_000_000;
    let profile = Profile::read(&claims);
    assert!(
        profile
            .name
            .as_ref()
            .is_none_or(|name| !name.is_empty() && !name.contains(char::is_control))
    );
    let expected = Expected {
        issuer: "https://id.example.org",
        client_id: "guildhall",
        nonce: "n-1",
        access_token: None,
        begun: Timestamp::from_seconds(NOW - 30),
        now: Timestamp::from_seconds(NOW),
    };
    let token = Verified {
        algorithm: IdTokenAlgorithm::RS256,
        claims,
    };
    if let Ok(subject) = claims::check(&token, &expected) {
        let claim = |name: &str| token.claims.get(name);
        assert!(!subject.0.is_empty() && subject.0.is_ascii() && subject.0.len() <= 255);
        assert_eq!(claim("iss").and_then(Value::as_str), Some(expected.issuer));
        assert_eq!(claim("nonce").and_then(Value::as_str), Some(expected.nonce));
        assert!(claim("exp").and_then(Value::as_i64).is_some_and(|end| end > NOW - 61));
        assert!(claim("at_hash").is_none());
    }
}

#[cfg(test)]
mod tests {
    use testkit::fuzz::replay;

    #[test]
    fn the_corpus_of_credentials_keeps_its_promises() {
        replay("credentials", super::credentials);
    }
    #[test]
    fn the_corpus_of_providers_keeps_its_promises() {
        replay("provider", super::provider);
    }
}
