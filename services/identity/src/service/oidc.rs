//! Signing in at other providers: beginning, and what comes back.

mod accounts;
mod client;

use std::time::Duration;

use kernel::{Error, Result};
use platform::Caller;
use platform::db::Unit;
use secrecy::{ExposeSecret, SecretString};

use super::{IdentityService, SignInStep, audit, without_idempotency};
use crate::config::OidcProvider;
use crate::error::IdentityError;
use crate::model::external_identity::ExternalIdentity;
use crate::model::oidc::Untrusted;
use crate::model::oidc::claims::{self, Expected};
use crate::model::oidc::flow::{FLOW_LIFE, FLOW_SEAL, Flow, MAX_FLOW_CHARS, Purpose, STATE_CHARS, return_target};
use crate::store;

pub(crate) use client::Providers;

/// Where people land whom no page of an application awaits.
const DEFAULT_RETURN: &str = "/account/signed-in";
const MAX_CODE_CHARS: usize = 4_096;

#[derive(Debug)]
pub(crate) struct Begin {
    pub(crate) provider: String,
    /// Our own when absent; otherwise one of the configured ones.
    pub(crate) redirect_uri: Option<String>,
    pub(crate) return_to: Option<String>,
    /// For people without an account, where registration asks for one.
    pub(crate) invitation: Option<SecretString>,
}

/// A sign-in that goes on at the provider.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) authorization_url: String,
    /// Finishes it, together with what the provider sends back.
    pub(crate) flow: SecretString,
    pub(crate) expires_in: Duration,
}

/// What the provider sent back by way of the browser (RFC 6749, sections 4.1.2 and 4.1.2.1; RFC 9207).
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) code: Option<SecretString>,
    pub(crate) error: Option<String>,
    pub(crate) issuer: Option<String>,
}

#[derive(Debug)]
pub(crate) enum Finished {
    SignIn(SignInStep),
    Linked(ExternalIdentity),
}

impl IdentityService {
    pub(crate) fn provider(&self, id: &str) -> Result<&OidcProvider> {
        let found = self.config.oidc.providers.get(id);
        Ok(found.ok_or(IdentityError::ProviderNotFound)?)
    }

    pub(crate) async fn begin_sign_in(&self, caller: &Caller, begin: Begin) -> Result<Begun> {
        let purpose = Purpose::SignIn {
            invitation: begin.invitation.as_ref().map(|token| token.expose_secret().to_owned()),
        };
        self.begin(caller, begin, purpose).await
    }

    pub(super) async fn begin(&self, caller: &Caller, begin: Begin, purpose: Purpose) -> Result<Begun> {
        let provider = self.provider(&begin.provider)?;
        let return_to = begin.return_to.as_deref().unwrap_or(DEFAULT_RETURN);
        let return_to = return_target(return_to, &self.public_url, &self.config.allowed_origins).ok_or_else(|| {
            Error::invalid_field(
                "/return_to",
                "not_allowed",
                "must be a path of this installation, or a page of an allowed origin",
            )
        })?;
        let redirect_uri = match begin.redirect_uri {
            None => format!("{}/v1/auth/oidc/{}/callback", self.public_url, begin.provider),
            Some(uri) if provider.redirect_uris.contains(&uri) => uri,
            Some(_) => {
                return Err(Error::invalid_field(
                    "/redirect_uri",
                    "not_allowed",
                    "is not registered for this provider",
                ));
            }
        };
        let metadata = self
            .providers
            .metadata(&begin.provider, provider, &self.config.oidc, self.now())
            .await?;
        let flow = Flow::new(&begin.provider, &provider.issuer, redirect_uri, purpose, return_to, caller.now);
        let authorization_url = flow
            .authorization_url(&metadata.authorization_endpoint, provider)
            .ok_or(IdentityError::ProviderUnavailable)?;
        let plain = serde_json::to_vec(&flow).map_err(Error::internal)?;
        Ok(Begun {
            authorization_url,
            flow: self.seal.seal(&plain, FLOW_SEAL)?.into(),
            expires_in: FLOW_LIFE,
        })
    }

    /// The flow that `state` belongs to, for the one time it can be opened: it is finished from here on, however it ends.
    pub(crate) async fn open_flow(&self, caller: &Caller, provider: &str, sealed: &SecretString, state: &str) -> Result<Flow> {
        let configured = self.provider(provider)?;
        let invalid = |why: &str| {
            audit(caller, "oidc_flow", None, why);
            Error::from(IdentityError::FlowInvalid)
        };
        if sealed.expose_secret().len() > MAX_FLOW_CHARS || state.len() != STATE_CHARS {
            return Err(invalid("no flow of ours"));
        }
        let plain = self.seal.open(sealed.expose_secret(), FLOW_SEAL);
        let plain = plain.map_err(|_| invalid("no flow of ours"))?;
        let flow: Flow = serde_json::from_slice(&plain).map_err(|_| invalid("no flow of ours"))?;
        if !flow.awaits(provider, state, caller.now) || flow.issuer != configured.issuer {
            return Err(invalid("another flow, or too late"));
        }
        let mut unit = Unit::new(&without_idempotency(caller));
        let hash = self.keyring.fingerprint(&SecretString::from(flow.state()));
        store::external_identities::finish_flow(&mut unit, &hash, flow.expires_at());
        match self.db.apply(unit).await {
            Err(error) if error.is_unique() => return Err(invalid("finished already")),
            other => drop(other?),
        }
        Ok(flow)
    }

    /// Trades the provider's answer for a session, or for a link to the person who began the flow.
    pub(crate) async fn finish_flow(&self, caller: &Caller, flow: &Flow, answer: &Answer) -> Result<Finished> {
        let provider = self.provider(&flow.provider)?;
        let metadata = self
            .providers
            .metadata(&flow.provider, provider, &self.config.oidc, self.now())
            .await?;
        // RFC 9207, section 2.4: before anything of the answer is used.
        let from_issuer = match &answer.issuer {
            Some(issuer) => *issuer == provider.issuer,
            None => !metadata.authorization_response_iss_parameter_supported,
        };
        if !from_issuer {
            return Err(Self::distrust(caller, flow, Untrusted("the answer came from another issuer")));
        }
        let code = match (&answer.error, &answer.code) {
            (None, Some(code)) if code.expose_secret().len() <= MAX_CODE_CHARS => code,
            (error, _) => {
                let error: String = error
                    .iter()
                    .flat_map(|text| text.chars())
                    .filter(char::is_ascii_graphic)
                    .take(64)
                    .collect();
                audit(caller, "oidc_flow", None, &format!("{} refused: {error}", flow.provider));
                return Err(IdentityError::ProviderRefused.into());
            }
        };
        let tokens = self
            .providers
            .exchange(provider, flow, &metadata, code)
            .await
            .inspect_err(|error| {
                audit(
                    caller,
                    "oidc_flow",
                    None,
                    &format!("{} gave no token: {}", flow.provider, error.code),
                );
            })?;
        let id_token = self.providers.verify(provider, flow, &metadata, &tokens, self.now()).await?;
        let id_token = id_token.map_err(|reason| Self::distrust(caller, flow, reason))?;
        // People and providers took their time: from here on it is later.
        let caller = Caller {
            now: self.now(),
            ..without_idempotency(caller)
        };
        let expected = Expected {
            issuer: &provider.issuer,
            client_id: &provider.client_id,
            nonce: &flow.nonce,
            access_token: tokens.access_token(),
            begun: flow.begun,
            now: caller.now,
        };
        let subject = claims::check(&id_token, &expected).map_err(|reason| Self::distrust(&caller, flow, reason))?;
        let newcomer = accounts::Newcomer {
            provider,
            flow,
            subject,
            claims: id_token.claims,
            tokens,
            metadata: &metadata,
        };
        match &flow.purpose {
            Purpose::SignIn { invitation } => {
                let invitation = invitation.as_deref().map(SecretString::from);
                let step = self.enter_with(&caller, &newcomer, invitation.as_ref()).await?;
                Ok(Finished::SignIn(step))
            }
            Purpose::Link { user_id, session_id } => {
                let linked = self.link(&caller, &newcomer, *user_id, *session_id).await?;
                Ok(Finished::Linked(linked))
            }
        }
    }

    fn distrust(caller: &Caller, flow: &Flow, reason: Untrusted) -> Error {
        audit(caller, "oidc_flow", None, &format!("{}: {reason}", flow.provider));
        IdentityError::ProviderAnswerInvalid.into()
    }
}
