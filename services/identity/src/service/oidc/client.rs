//! Speaks with providers: their documents and keys, kept for a while, and tokens. Everything goes through the guarded client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use kernel::{Result, Timestamp};
use platform::egress::{Egress, EgressRequest, EgressResponse};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use url::form_urlencoded;

use crate::config::{OidcConfig, OidcProvider};
use crate::error::IdentityError;
use crate::model::oidc::Untrusted;
use crate::model::oidc::claims::{self, Subject};
use crate::model::oidc::discovery::Metadata;
use crate::model::oidc::flow::Flow;
use crate::model::oidc::keys::{KeySet, Unverified, Verified};

/// Documents and keys are believed so long; a key that the provider withdrew is forgotten within it.
const KEEP: Duration = Duration::from_secs(3_600);
/// An unknown key asks for the key set at most this often.
const REFETCH_AFTER: Duration = Duration::from_secs(30);
/// A provider that failed is left alone for so long.
const PAUSE: Duration = Duration::from_secs(5);
/// Four requests of so long fit into the time that a request of ours has.
const TIMEOUT: Duration = Duration::from_secs(6);
const MAX_DOCUMENT_BYTES: usize = 512 * 1024;
const MAX_TOKEN_ANSWER_BYTES: usize = 128 * 1024;

/// What is known of each provider. One request fetches, others that need the same wait for its answer.
pub(crate) struct Providers {
    egress: Arc<dyn Egress>,
    known: BTreeMap<String, Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    metadata: Option<(Timestamp, Arc<Metadata>)>,
    keys: Option<(Timestamp, Arc<KeySet>)>,
    failed: Option<Timestamp>,
}

/// What a code was traded for.
#[derive(Deserialize)]
pub(super) struct Tokens {
    access_token: Option<SecretString>,
    id_token: SecretString,
}

/// Why there are none (RFC 6749, section 5.2).
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Tokens {
    pub(super) fn access_token(&self) -> Option<&str> {
        self.access_token.as_ref().map(ExposeSecret::expose_secret)
    }
}

/// `at` is not older than `life`, and not of the future either.
fn fresh(at: Timestamp, now: Timestamp, life: Duration) -> bool {
    now >= at && now.since(at) < life
}

impl Providers {
    pub(crate) fn new(config: &OidcConfig, egress: Arc<dyn Egress>) -> Self {
        Self {
            egress,
            known: config.providers.keys().map(|id| (id.clone(), Mutex::default())).collect(),
        }
    }

    fn known(&self, id: &str) -> Result<&Mutex<Known>> {
        Ok(self.known.get(id).ok_or(IdentityError::ProviderNotFound)?)
    }

    pub(crate) async fn metadata(&self, id: &str, provider: &OidcProvider, all: &OidcConfig, now: Timestamp) -> Result<Arc<Metadata>> {
        let mut known = self.known(id)?.lock().await;
        if let Some((_, metadata)) = known.metadata.as_ref().filter(|(at, _)| fresh(*at, now, KEEP)) {
            return Ok(Arc::clone(metadata));
        }
        known.pause(now)?;
        let read = |bytes: &Bytes| Metadata::read(bytes, provider, all);
        let metadata = Arc::new(self.fetch(id, &mut known, &Metadata::location(&provider.issuer), now, read).await?);
        known.metadata = Some((now, Arc::clone(&metadata)));
        Ok(metadata)
    }

    async fn keys(&self, id: &str, uri: &str, now: Timestamp, kept_at_most: Duration) -> Result<Arc<KeySet>> {
        let mut known = self.known(id)?.lock().await;
        if let Some((_, keys)) = known.keys.as_ref().filter(|(at, _)| fresh(*at, now, kept_at_most)) {
            return Ok(Arc::clone(keys));
        }
        known.pause(now)?;
        let keys = Arc::new(self.fetch(id, &mut known, uri, now, |bytes| KeySet::read(bytes)).await?);
        known.keys = Some((now, Arc::clone(&keys)));
        Ok(keys)
    }

    async fn fetch<T: Send>(
        &self,
        id: &str,
        known: &mut Known,
        url: &str,
        now: Timestamp,
        read: impl Fn(&Bytes) -> Result<T, Untrusted> + Send + Sync,
    ) -> Result<T> {
        let answer = self
            .send(id, Method::GET, url, HeaderMap::new(), Bytes::new(), MAX_DOCUMENT_BYTES)
            .await;
        let document = answer.and_then(|answer| {
            let good = answer.status == StatusCode::OK && !answer.truncated;
            let body = good.then_some(answer.body).ok_or(Untrusted("a document is not there"));
            body.and_then(|body| read(&body)).map_err(|reason| {
                tracing::warn!(provider = id, url, status = answer.status.as_u16(), %reason, "a sign-in provider is not as it must be");
                IdentityError::ProviderUnavailable.into()
            })
        });
        known.failed = document.is_err().then_some(now);
        document
    }

    async fn send(
        &self,
        id: &str,
        method: Method,
        url: &str,
        mut headers: HeaderMap,
        body: Bytes,
        max_response_bytes: usize,
    ) -> Result<EgressResponse> {
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let request = EgressRequest {
            method,
            url: url.to_owned(),
            headers,
            body,
            timeout: TIMEOUT,
            max_response_bytes,
        };
        self.egress.send(request).await.map_err(|error| {
            tracing::warn!(provider = id, url, %error, "a sign-in provider cannot be reached");
            IdentityError::ProviderUnavailable.into()
        })
    }

    /// Trades the code (RFC 6749, section 4.1.3; RFC 7636, section 4.5).
    pub(super) async fn exchange(&self, provider: &OidcProvider, flow: &Flow, metadata: &Metadata, code: &SecretString) -> Result<Tokens> {
        let (headers, body) = token_request(provider, flow, metadata, code)?;
        let (id, url) = (&flow.provider, &metadata.token_endpoint);
        let answer = self.send(id, Method::POST, url, headers, body, MAX_TOKEN_ANSWER_BYTES).await?;
        if answer.status == StatusCode::OK && !answer.truncated {
            let tokens = serde_json::from_slice(&answer.body).map_err(|_| {
                tracing::warn!(
                    provider = id,
                    "the token answer of a sign-in provider has no ID token, or cannot be read"
                );
                IdentityError::ProviderAnswerInvalid
            });
            return Ok(tokens?);
        }
        let refusal = serde_json::from_slice::<Refusal>(&answer.body).map_or_else(|_| String::new(), |refusal| refusal.error);
        if refusal == "invalid_grant" {
            // The code was used, has expired, or belongs to another sign-in.
            return Err(IdentityError::ProviderRefused.into());
        }
        let refusal: String = refusal.chars().filter(char::is_ascii_graphic).take(64).collect();
        tracing::warn!(
            provider = id,
            status = answer.status.as_u16(),
            refusal,
            "a sign-in provider gives no tokens"
        );
        Err(IdentityError::ProviderUnavailable.into())
    }

    /// The ID token, its signature checked; the key set is fetched anew for a key that it does not have.
    pub(super) async fn verify(
        &self,
        provider: &OidcProvider,
        flow: &Flow,
        metadata: &Metadata,
        tokens: &Tokens,
        now: Timestamp,
    ) -> Result<Result<Verified, Untrusted>> {
        for kept_at_most in [KEEP, REFETCH_AFTER] {
            let keys = self.keys(&flow.provider, &metadata.jwks_uri, now, kept_at_most).await?;
            match keys.verify(tokens.id_token.expose_secret(), &provider.algorithms) {
                Ok(verified) => return Ok(Ok(verified)),
                Err(Unverified::Untrusted(reason)) => return Ok(Err(reason)),
                Err(Unverified::UnknownKey) => {}
            }
        }
        Ok(Err(Untrusted(
            "the ID token is signed with a key that the provider does not publish",
        )))
    }

    /// What the UserInfo endpoint says of the same person (OpenID Connect Core 1.0, section 5.3); `None` where there is none.
    pub(super) async fn user_info(
        &self,
        flow: &Flow,
        metadata: &Metadata,
        tokens: &Tokens,
        subject: &Subject,
    ) -> Result<Option<Result<Map<String, Value>, Untrusted>>> {
        let (Some(url), Some(access_token)) = (&metadata.userinfo_endpoint, tokens.access_token()) else {
            return Ok(None);
        };
        let Ok(authorization) = HeaderValue::from_str(&format!("Bearer {access_token}")) else {
            return Ok(Some(Err(Untrusted("the access token is none"))));
        };
        let headers = HeaderMap::from_iter([(AUTHORIZATION, authorization)]);
        let answer = self
            .send(&flow.provider, Method::GET, url, headers, Bytes::new(), MAX_TOKEN_ANSWER_BYTES)
            .await?;
        if answer.status != StatusCode::OK || answer.truncated {
            tracing::warn!(
                provider = flow.provider,
                status = answer.status.as_u16(),
                "a sign-in provider tells nothing of a person"
            );
            return Err(IdentityError::ProviderUnavailable.into());
        }
        let claims: Option<Map<String, Value>> = serde_json::from_slice(&answer.body).ok();
        let same = claims.filter(|claims| claims::subject(claims).as_ref() == Some(subject));
        Ok(Some(same.ok_or(Untrusted("the UserInfo endpoint speaks of somebody else"))))
    }
}

impl Known {
    fn pause(&self, now: Timestamp) -> Result<()> {
        if self.failed.is_some_and(|at| fresh(at, now, PAUSE)) {
            return Err(IdentityError::ProviderUnavailable.into());
        }
        Ok(())
    }
}

/// The client proves itself in the header or, where the provider takes nothing else, in the form.
fn token_request(provider: &OidcProvider, flow: &Flow, metadata: &Metadata, code: &SecretString) -> Result<(HeaderMap, Bytes)> {
    let secret = provider.client_secret.expose();
    let mut headers = HeaderMap::new();
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("code", code.expose_secret())
        .append_pair("redirect_uri", &flow.redirect_uri)
        .append_pair("code_verifier", &flow.verifier);
    if secret.is_empty() || metadata.wants_secret_in_form() {
        form.append_pair("client_id", &provider.client_id);
        if !secret.is_empty() {
            form.append_pair("client_secret", secret);
        }
    } else {
        headers.insert(AUTHORIZATION, basic(&provider.client_id, secret)?);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    Ok((headers, Bytes::from(form.finish())))
}

/// RFC 6749, section 2.3.1: both parts are form-encoded first.
fn basic(client_id: &str, secret: &str) -> Result<HeaderValue> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let credentials = BASE64.encode(format!("{}:{}", encode(client_id), encode(secret)).as_bytes());
    let mut value = HeaderValue::from_str(&format!("Basic {credentials}")).map_err(kernel::Error::internal)?;
    value.set_sensitive(true);
    Ok(value)
}
