//! What a provider says of itself (OpenID Connect Discovery 1.0, RFC 8414).

use serde::Deserialize;
use url::Url;

use super::Untrusted;
use crate::config::{OidcConfig, OidcProvider};

/// The parts of the document that matter here. Absent lists have the defaults of the specification.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Metadata {
    issuer: String,
    pub(crate) authorization_endpoint: String,
    pub(crate) token_endpoint: String,
    pub(crate) jwks_uri: String,
    pub(crate) userinfo_endpoint: Option<String>,
    #[serde(default = "basic")]
    token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default = "code")]
    response_types_supported: Vec<String>,
    code_challenge_methods_supported: Option<Vec<String>>,
    /// RFC 9207: every answer names its issuer, so one that does not is not from this provider.
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
}

fn basic() -> Vec<String> {
    vec!["client_secret_basic".to_owned()]
}

fn code() -> Vec<String> {
    vec!["code".to_owned()]
}

impl Metadata {
    /// Where the document lies (Discovery, section 4).
    pub(crate) fn location(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
    }

    pub(crate) fn read(bytes: &[u8], provider: &OidcProvider, all: &OidcConfig) -> Result<Self, Untrusted> {
        let mut found: Self = serde_json::from_slice(bytes).map_err(|_| Untrusted("the discovery document cannot be read"))?;
        if found.issuer != provider.issuer {
            return Err(Untrusted("the discovery document names another issuer"));
        }
        let endpoints = [&mut found.authorization_endpoint, &mut found.token_endpoint, &mut found.jwks_uri];
        for endpoint in endpoints.into_iter().chain(&mut found.userinfo_endpoint) {
            let url = Url::parse(endpoint).ok().filter(|url| all.permits(url.as_str()));
            let url = url.ok_or(Untrusted("an endpoint is neither https nor among the private origins"))?;
            // As it was understood when it was judged, without the spaces that a parser passes over.
            *endpoint = url.into();
        }
        if !found.response_types_supported.iter().any(|kind| kind == "code") {
            return Err(Untrusted("the provider has no authorization code flow"));
        }
        let refuses_s256 = |methods: &Vec<String>| !methods.iter().any(|method| method == "S256");
        if found.code_challenge_methods_supported.as_ref().is_some_and(refuses_s256) {
            return Err(Untrusted("the provider knows no PKCE with S256"));
        }
        Ok(found)
    }

    /// Whether the client's secret goes into the form instead of `Authorization`.
    pub(crate) fn wants_secret_in_form(&self) -> bool {
        let takes = |method: &str| self.token_endpoint_auth_methods_supported.iter().any(|name| name == method);
        takes("client_secret_post") && !takes("client_secret_basic")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn provider() -> OidcProvider {
        OidcProvider {
            issuer: "https://id.example.org/realm".to_owned(),
            ..OidcProvider::default()
        }
    }

    fn document() -> Value {
        json!({
            "issuer": "https://id.example.org/realm",
            "authorization_endpoint": "https://id.example.org/authorize?realm=1",
            "token_endpoint": "https://id.example.org/token",
            "jwks_uri": "https://keys.example.org/jwks",
        })
    }

    fn read(document: &Value) -> Result<Metadata, Untrusted> {
        Metadata::read(document.to_string().as_bytes(), &provider(), &OidcConfig::default())
    }

    #[test]
    fn sec_20_a_document_must_be_that_of_the_issuer_and_lead_to_https() {
        assert!(read(&document()).is_ok());
        for (name, value) in [
            ("issuer", json!("https://id.example.org/realm/")),
            ("issuer", json!("https://evil.example.org/realm")),
            ("token_endpoint", json!("http://id.example.org/token")),
            ("jwks_uri", json!("http://169.254.169.254/latest")),
            ("authorization_endpoint", json!("javascript:alert(1)")),
            ("userinfo_endpoint", json!("http://id.example.org/me")),
            ("response_types_supported", json!(["id_token"])),
            ("code_challenge_methods_supported", json!(["plain"])),
            ("token_endpoint", Value::Null),
        ] {
            let mut bad = document();
            bad[name] = value.clone();
            assert!(read(&bad).is_err(), "{name} {value}");
        }
        assert!(Metadata::read(b"<html>", &provider(), &OidcConfig::default()).is_err());
    }

    #[test]
    fn endpoints_are_kept_as_they_were_judged() {
        let mut spaced = document();
        spaced["jwks_uri"] = json!(" https://keys.example.org/jwks\n");
        assert_eq!(read(&spaced).unwrap().jwks_uri, "https://keys.example.org/jwks");
        assert_eq!(
            read(&document()).unwrap().authorization_endpoint,
            "https://id.example.org/authorize?realm=1"
        );
    }

    #[test]
    fn the_document_lies_below_the_issuer_and_the_secret_goes_where_it_is_taken() {
        let location = "https://id.example.org/realm/.well-known/openid-configuration";
        assert_eq!(Metadata::location("https://id.example.org/realm"), location);
        assert_eq!(Metadata::location("https://id.example.org/realm/"), location);
        let with = |methods: Value| {
            let mut document = document();
            document["token_endpoint_auth_methods_supported"] = methods;
            read(&document).unwrap().wants_secret_in_form()
        };
        assert!(with(json!(["client_secret_post", "none"])));
        assert!(!with(json!(["client_secret_post", "client_secret_basic"])));
        assert!(!read(&document()).unwrap().wants_secret_in_form());
    }
}
