//! The `[identity.oidc]` section.

use std::collections::{BTreeMap, BTreeSet};

use platform::config::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

/// Bounded so that issuer and subject fit one index on every engine.
const MAX_ISSUER_CHARS: usize = 500;
const MAX_ID_CHARS: usize = 32;

/// How an ID token may be signed. `none` and the HMACs are not among them: neither proves who signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IdTokenAlgorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// Sign-in with accounts of other providers, by OpenID Connect.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OidcConfig {
    /// The providers by their names.
    pub providers: BTreeMap<String, OidcProvider>,
    /// Origins such as `http://127.0.0.1:9000` that providers may use although they lie in a private network, speak plain
    /// http or use another port than those of `egress.ports`. Only what fetches providers' documents and tokens calls them.
    pub private_origins: Vec<String>,
}

/// A provider of OpenID Connect, under a short name of your choice (small letters, digits, `-`). Register with it a client whose redirect
/// URI is `<server.public_url>/v1/auth/oidc/<name>/callback`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OidcProvider {
    /// What people read on the button.
    pub name: String,
    /// Exactly as the provider names itself; `/.well-known/openid-configuration` is looked for below it.
    pub issuer: String,
    /// As the provider knows this installation.
    pub client_id: String,
    /// Empty for a public client, which PKCE alone protects.
    pub client_secret: Secret,
    /// What is asked for; `openid` must be among them.
    pub scopes: Vec<String>,
    /// How ID tokens may be signed.
    pub algorithms: Vec<IdTokenAlgorithm>,
    /// Whether people without an account get one, as far as `identity.registration` allows.
    pub register: bool,
    /// Whether the provider is believed when it vouches for an e-mail address: then it opens the account that has proven the same
    /// address, or makes one. Turn it off for providers that vouch for whatever their users say; people then
    /// link it in their profile first.
    pub trust_email: bool,
    /// Further redirect URIs that a program may choose, exactly as registered with the provider: a page of a web app, or a
    /// program's own.
    pub redirect_uris: Vec<String>,
}

impl Default for OidcProvider {
    fn default() -> Self {
        Self {
            name: String::new(),
            issuer: String::new(),
            client_id: String::new(),
            client_secret: Secret::default(),
            scopes: ["openid", "email", "profile"].map(str::to_owned).to_vec(),
            algorithms: vec![
                IdTokenAlgorithm::RS256,
                IdTokenAlgorithm::PS256,
                IdTokenAlgorithm::ES256,
                IdTokenAlgorithm::ES384,
                IdTokenAlgorithm::EdDSA,
            ],
            register: true,
            trust_email: true,
            redirect_uris: Vec::new(),
        }
    }
}

impl OidcConfig {
    /// Whether the server may call `url` to speak with a provider, as far as its form says.
    pub(crate) fn permits(&self, url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| {
            url.has_host()
                && url.fragment().is_none()
                && (url.scheme() == "https" || self.is_private_origin(&url.origin().ascii_serialization()))
        })
    }

    fn is_private_origin(&self, origin: &str) -> bool {
        self.private_origins
            .iter()
            .filter_map(|text| Url::parse(text).ok())
            .any(|url| url.origin().ascii_serialization() == origin)
    }

    pub(super) fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for origin in &self.private_origins {
            let exact = Url::parse(origin).is_ok_and(|url| url.origin().is_tuple() && url.origin().ascii_serialization() == *origin);
            if !exact {
                problems.push(format!(
                    "identity.oidc.private_origins: {origin:?} is no origin such as http://127.0.0.1:9000 (no path)"
                ));
            }
        }
        let mut issuers = BTreeSet::new();
        for (id, provider) in &self.providers {
            let key = format!("identity.oidc.providers.{id}");
            if !valid_id(id) {
                problems.push(format!("{key}: a name has 1 to {MAX_ID_CHARS} small letters, digits and dashes"));
            }
            problems.extend(
                provider
                    .validate(self)
                    .into_iter()
                    .map(|(field, text)| format!("{key}.{field}: {text}")),
            );
            if !issuers.insert(&provider.issuer) {
                problems.push(format!("{key}.issuer: another provider has the same"));
            }
        }
        problems
    }
}

impl OidcProvider {
    fn validate(&self, all: &OidcConfig) -> Vec<(&'static str, &'static str)> {
        let mut problems = Vec::new();
        let mut demand = |holds: bool, field: &'static str, text: &'static str| {
            if !holds {
                problems.push((field, text));
            }
        };
        let plain = |text: &str| !text.trim().is_empty() && text.chars().count() <= 100 && !text.chars().any(char::is_control);
        demand(plain(&self.name), "name", "must have 1 to 100 characters");
        demand(
            self.issuer.len() <= MAX_ISSUER_CHARS && !self.issuer.contains('?') && all.permits(&self.issuer),
            "issuer",
            "must be an https URL without query, of at most 500 characters; others must be listed in identity.oidc.private_origins",
        );
        demand(
            !self.client_id.is_empty() && self.client_id.len() <= 255,
            "client_id",
            "must have 1 to 255 characters",
        );
        demand(
            self.scopes.iter().any(|scope| scope == "openid") && self.scopes.iter().all(|scope| is_scope(scope)),
            "scopes",
            "must hold `openid`, and each one word",
        );
        demand(!self.algorithms.is_empty(), "algorithms", "must name at least one");
        let redirects = self.redirect_uris.iter().all(|uri| {
            let parsed = Url::parse(uri);
            uri.len() <= 500 && parsed.is_ok_and(|url| url.fragment().is_none() && !matches!(url.scheme(), "javascript" | "data"))
        });
        demand(redirects, "redirect_uris", "must be absolute URIs without a fragment");
        problems
    }
}

fn valid_id(id: &str) -> bool {
    (1..=MAX_ID_CHARS).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// RFC 6749, section 3.3.
fn is_scope(scope: &str) -> bool {
    !scope.is_empty() && scope.len() <= 100 && scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> OidcProvider {
        OidcProvider {
            name: "Corp".to_owned(),
            issuer: "https://id.example.org".to_owned(),
            client_id: "guildhall".to_owned(),
            ..OidcProvider::default()
        }
    }

    #[test]
    fn sec_20_a_provider_is_https_or_named_among_the_private_ones() {
        let with = |provider: OidcProvider, private: &[&str]| OidcConfig {
            providers: [("corp".to_owned(), provider)].into(),
            private_origins: private.iter().map(|origin| (*origin).to_owned()).collect(),
        };
        assert_eq!(with(good(), &[]).validate(), Vec::<String>::new());
        let local = OidcProvider {
            issuer: "http://127.0.0.1:9000/realm".to_owned(),
            ..good()
        };
        assert_eq!(with(local.clone(), &["http://127.0.0.1:9000"]).validate(), Vec::<String>::new());
        assert_eq!(with(local.clone(), &[]).validate().len(), 1);
        assert_eq!(with(local.clone(), &["http://127.0.0.1:9001"]).validate().len(), 1);
        assert_eq!(
            with(local, &["http://127.0.0.1:9000/"]).validate().len(),
            1,
            "an origin has no path"
        );
        for issuer in [
            "",
            "id.example.org",
            "https://id.example.org/?a=b",
            "https://id.example.org/#x",
            "ftp://id.example.org",
        ] {
            let bad = OidcProvider {
                issuer: issuer.to_owned(),
                ..good()
            };
            assert_eq!(with(bad, &[]).validate().len(), 1, "{issuer}");
        }
    }

    #[test]
    fn every_mistake_is_named_and_no_two_providers_share_an_issuer() {
        let bad = OidcProvider {
            name: " ".to_owned(),
            client_id: String::new(),
            scopes: vec!["email".to_owned()],
            algorithms: Vec::new(),
            redirect_uris: vec!["/relative".to_owned()],
            ..good()
        };
        let config = OidcConfig {
            providers: [("A_B".to_owned(), bad), ("corp".to_owned(), good())].into(),
            ..OidcConfig::default()
        };
        assert_eq!(config.validate().len(), 7, "{:?}", config.validate());
        assert!(
            serde_json::from_str::<IdTokenAlgorithm>("\"HS256\"").is_err() && serde_json::from_str::<IdTokenAlgorithm>("\"none\"").is_err()
        );
    }
}
