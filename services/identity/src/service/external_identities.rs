//! One's own accounts at sign-in providers: list, link, unlink.

use std::time::Duration;

use contracts::audit::{Action, Entry};
use kernel::Result;
use kernel::ids::ExternalIdentityId;
use platform::Caller;
use platform::db::{Guard, Unit};
use secrecy::SecretString;

use super::{Begin, Begun, IdentityService, MailJob, audit, without_idempotency};
use crate::error::IdentityError;
use crate::model::external_identity::{ExternalIdentity, MAX_EXTERNAL_IDENTITIES};
use crate::model::oidc::flow::Purpose;
use crate::model::user::User;
use crate::store;

/// Without a password, whoever signed in so recently is taken to be the person.
const RECENT: Duration = Duration::from_secs(600);

const LAST_WAY_IN: Guard = Guard::conflict(
    "identity.oidc.last_way_in",
    "It is your only way to sign in; set a password or link another one first.",
);
const GONE: Guard = Guard::not_found("identity.oidc.not_found", "No such linked account.");

/// Proof that it is still the person who holds the session.
#[derive(Debug, Default)]
pub(crate) struct StepUp {
    /// Demanded of people with a password.
    pub(crate) password: Option<SecretString>,
    /// Demanded of people with a second factor.
    pub(crate) code: Option<SecretString>,
}

impl IdentityService {
    pub(crate) async fn list_external_identities(&self, caller: &Caller) -> Result<Vec<ExternalIdentity>> {
        Ok(store::external_identities::list(&self.db, caller.user_id()?).await?)
    }

    /// A further way into the account, so the person proves themselves once more.
    pub(crate) async fn begin_link(&self, caller: &Caller, begin: Begin, proof: &StepUp) -> Result<Begun> {
        let session_id = caller.session_id()?;
        let user = self.get_me(caller).await?;
        self.provider(&begin.provider)?;
        self.step_up(caller, &user, proof).await?;
        if self.list_external_identities(caller).await?.len() >= MAX_EXTERNAL_IDENTITIES {
            return Err(IdentityError::TooManyExternalIdentities.into());
        }
        let purpose = Purpose::Link {
            user_id: user.id,
            session_id,
        };
        self.begin(&caller.keeping_no_reply(), begin, purpose).await
    }

    /// Never the last way in.
    pub(crate) async fn unlink(&self, caller: &Caller, id: ExternalIdentityId, proof: &StepUp) -> Result<()> {
        caller.session_id()?;
        let user = self.get_me(caller).await?;
        let all = store::external_identities::list(&self.db, user.id).await?;
        let identity = all.into_iter().find(|identity| identity.id == id);
        let identity = identity.ok_or(IdentityError::ExternalIdentityNotFound)?;
        self.step_up(caller, &user, proof).await?;
        let mut unit = Unit::new(&without_idempotency(caller));
        if user.password_hash.is_none() {
            // One at a provider that is configured no longer opens nothing.
            let issuers: Vec<String> = self.config.oidc.providers.values().map(|one| one.issuer.clone()).collect();
            if issuers.is_empty() {
                return Err(IdentityError::LastWayIn.into());
            }
            store::external_identities::require_other(&mut unit, &identity, issuers, LAST_WAY_IN);
        } else {
            store::users::require_unchanged_credentials(&mut unit, &user, LAST_WAY_IN);
        }
        store::external_identities::delete(&mut unit, user.id, id, GONE);
        let entry = Entry::of_account(user.id, Action::ExternalIdentityUnlinked);
        unit.record(entry.with("issuer", identity.issuer.as_str()));
        let job = MailJob::ExternalIdentity {
            user_id: user.id,
            provider: self.provider_name(&identity.issuer),
            linked: false,
        };
        Self::schedule_mail(&mut unit, &job, caller.now);
        self.db.apply(unit).await?;
        audit(caller, "external_identity_unlinked", Some(user.id), "ok");
        Ok(())
    }

    /// Asks for password and code, as far as there are any; without a password, for a recent sign-in.
    async fn step_up(&self, caller: &Caller, user: &User, proof: &StepUp) -> Result<()> {
        if user.password_hash.is_some() {
            let password = proof
                .password
                .as_ref()
                .ok_or_else(|| kernel::Error::invalid_field("/current_password", "required", "is needed to change how you sign in"))?;
            self.confirm_password(caller, user, password, "/current_password").await?;
        } else {
            let session = store::sessions::find(&self.db, user.id, caller.session_id()?).await?;
            if session.is_none_or(|session| caller.now.since(session.created_at) > RECENT) {
                return Err(IdentityError::SignInNotRecent.into());
            }
        }
        self.confirm_code(caller, user, proof.code.as_ref()).await
    }

    /// As people know it; the bare issuer once it is configured no longer.
    pub(crate) fn provider_name(&self, issuer: &str) -> String {
        let known = self.config.oidc.providers.values().find(|provider| provider.issuer == issuer);
        known.map_or_else(|| issuer.to_owned(), |provider| provider.name.clone())
    }
}
