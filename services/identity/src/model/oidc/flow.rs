//! A sign-in under way at a provider. All of it travels sealed with the browser (or program) that began it, so none can be
//! finished elsewhere and nobody fills our tables by beginning many.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use kernel::Timestamp;
use kernel::ids::{SessionId, UserId};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::config::OidcProvider;
use crate::model::token::{random, sha256};

/// So long may people take at the provider.
pub(crate) const FLOW_LIFE: Duration = Duration::from_secs(600);
/// Seals of flows open nothing else.
pub(crate) const FLOW_SEAL: &str = "identity.oidc_flow";
/// A sealed flow; what is longer is none of ours, and the cookie must fit the limits of browsers.
pub(crate) const MAX_FLOW_CHARS: usize = 4_000;
pub(crate) const MAX_RETURN_CHARS: usize = 500;
/// `state` as we make it.
pub(crate) const STATE_CHARS: usize = 43;

/// For whom a provider's account is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    /// Sign in, or register with the invitation.
    SignIn { invitation: Option<String> },
    /// Link it to the person of this session.
    Link { user_id: UserId, session_id: SessionId },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Flow {
    /// Of the provider in the configuration.
    pub(crate) provider: String,
    /// As configured when it was begun: a provider that was replaced since gets no code of the former.
    pub(crate) issuer: String,
    pub(crate) redirect_uri: String,
    state: String,
    pub(crate) nonce: String,
    /// RFC 7636.
    pub(crate) verifier: String,
    pub(crate) purpose: Purpose,
    /// Where the browser goes afterwards; absolute, and checked.
    pub(crate) return_to: String,
    pub(crate) begun: Timestamp,
}

impl Flow {
    pub(crate) fn new(provider: &str, issuer: &str, redirect_uri: String, purpose: Purpose, return_to: String, now: Timestamp) -> Self {
        let word = || BASE64URL_NOPAD.encode(&random());
        Self {
            provider: provider.to_owned(),
            issuer: issuer.to_owned(),
            redirect_uri,
            state: word(),
            nonce: word(),
            verifier: word(),
            purpose,
            return_to,
            begun: now,
        }
    }

    pub(crate) fn expires_at(&self) -> Timestamp {
        self.begun.plus(FLOW_LIFE)
    }

    /// Whether an answer with this `state` from this provider finishes the flow.
    pub(crate) fn awaits(&self, provider: &str, state: &str, now: Timestamp) -> bool {
        use subtle::ConstantTimeEq;
        let same = bool::from(self.state.as_bytes().ct_eq(state.as_bytes()));
        same && self.provider == provider && now < self.expires_at()
    }

    /// Names the flow among the finished ones.
    pub(crate) fn state(&self) -> &str {
        &self.state
    }

    /// Where the person is sent (OpenID Connect Core 1.0, section 3.1.2.1, with RFC 7636). `None` for an endpoint that is no URL.
    pub(crate) fn authorization_url(&self, endpoint: &str, provider: &OidcProvider) -> Option<String> {
        let mut url = Url::parse(endpoint).ok()?;
        let challenge = BASE64URL_NOPAD.encode(&sha256(self.verifier.as_bytes()));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &provider.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", &provider.scopes.join(" "))
            .append_pair("state", &self.state)
            .append_pair("nonce", &self.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        Some(url.into())
    }
}

/// Where to send the browser: a path of `public_url`'s origin, or a page of an allowed origin; absolute. `None` for anything
/// else (an open redirect).
pub(crate) fn return_target(text: &str, public_url: &str, allowed_origins: &[String]) -> Option<String> {
    // Browsers read a backslash as a slash and drop control characters; no honest target has either.
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
    if text.is_empty() || text.chars().count() > MAX_RETURN_CHARS || text.contains(odd) {
        return None;
    }
    let own = Url::parse(public_url).ok()?;
    let relative = text.starts_with('/') && !text.starts_with("//");
    let target = if relative { own.join(text).ok()? } else { Url::parse(text).ok()? };
    let origin = target.origin().ascii_serialization();
    let known = origin == own.origin().ascii_serialization() || (!relative && allowed_origins.contains(&origin));
    let plain = target.username().is_empty() && target.password().is_none();
    (known && plain && matches!(target.scheme(), "http" | "https")).then(|| target.into())
}

/// `target` with the outcome in its query.
pub(crate) fn with_outcome(target: &str, pairs: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse(target) else {
        return target.to_owned();
    };
    url.query_pairs_mut().extend_pairs(pairs);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_20_people_come_back_to_our_pages_only() {
        let allowed = ["https://app.example.org".to_owned()];
        let target = |text: &str| return_target(text, "https://guild.example.org/base", &allowed);
        assert_eq!(target("/a?b=c#d").as_deref(), Some("https://guild.example.org/a?b=c#d"));
        assert_eq!(target("https://app.example.org/x").as_deref(), Some("https://app.example.org/x"));
        assert_eq!(
            target("https://guild.example.org/x").as_deref(),
            Some("https://guild.example.org/x")
        );
        let long = format!("/{}", "a".repeat(MAX_RETURN_CHARS));
        for evil in [
            "",
            "a",
            "//evil.example.org",
            "/\\evil.example.org",
            "\\\\evil.example.org",
            "/\t/evil.example.org",
            "/ /evil",
            "https://evil.example.org",
            "https://app.example.org.evil.example.org",
            "https://app.example.org@evil.example.org/",
            "https://user@app.example.org/",
            "http://app.example.org/",
            "https://app.example.org:8443/",
            "javascript:alert(1)",
            "data:text/html,x",
            "https:/\\evil.example.org",
            &long,
        ] {
            assert_eq!(target(evil), None, "{evil:?}");
        }
        assert_eq!(
            target("///evil.example.org").or_else(|| target("/../..//evil")).as_deref(),
            Some("https://guild.example.org//evil"),
            "a path, however odd, stays on our host"
        );
    }

    #[test]
    fn sec_20_the_request_has_state_nonce_and_challenge_and_keeps_the_endpoints_query() {
        let now = Timestamp::from_seconds(100);
        let purpose = Purpose::SignIn { invitation: None };
        let flow = Flow::new(
            "corp",
            "https://id.example.org",
            "https://g/cb".to_owned(),
            purpose,
            "https://g/".to_owned(),
            now,
        );
        let provider = OidcProvider {
            client_id: "a b".to_owned(),
            ..OidcProvider::default()
        };
        let url = flow
            .authorization_url("https://id.example.org/authorize?realm=1", &provider)
            .unwrap();
        let url = Url::parse(&url).unwrap();
        let pair = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        assert_eq!(pair("realm").as_deref(), Some("1"));
        assert_eq!(pair("client_id").as_deref(), Some("a b"));
        assert_eq!(pair("scope").as_deref(), Some("openid email profile"));
        assert_eq!(pair("state").as_deref(), Some(flow.state()));
        assert_eq!(flow.state().len(), STATE_CHARS);
        assert_eq!(pair("code_challenge_method").as_deref(), Some("S256"));
        assert_ne!(pair("code_challenge"), Some(flow.verifier.clone()));
        assert!(flow.nonce != flow.verifier && flow.nonce != flow.state());
        assert!(flow.awaits("corp", flow.state(), now));
        assert!(!flow.awaits("other", flow.state(), now) && !flow.awaits("corp", "", now));
        assert!(!flow.awaits("corp", flow.state(), flow.expires_at()));
        assert_eq!(
            with_outcome("https://g/a?b=c#d", &[("outcome", "signed_in")]),
            "https://g/a?b=c&outcome=signed_in#d"
        );
    }
}
