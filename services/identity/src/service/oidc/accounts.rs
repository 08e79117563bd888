//! Which account a person of a provider comes into.

use contracts::audit::{Action, Entry};
use kernel::Result;
use kernel::ids::{EntityId, ExternalIdentityId, SessionId, UserId};
use kernel::{Error, ErrorKind};
use platform::Caller;
use platform::db::{DbError, Guard, Unit};
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::client::Tokens;
use crate::config::OidcProvider;
use crate::error::IdentityError;
use crate::model::external_identity::{ExternalIdentity, MAX_EXTERNAL_IDENTITIES};
use crate::model::oidc::claims::{Profile, Subject};
use crate::model::oidc::discovery::Metadata;
use crate::model::oidc::flow::Flow;
use crate::model::profile::{DEFAULT_LOCALE, DEFAULT_TIME_ZONE};
use crate::model::session::Session;
use crate::model::user::User;
use crate::service::registration::Valid;
use crate::service::second_factor::SET_UP_MEANWHILE;
use crate::service::{IdentityService, MailJob, SignInStep, audit};
use crate::store;

/// Locked, disabled or given another password while the provider was asked.
const CHANGED: Guard = Guard {
    kind: ErrorKind::Forbidden,
    code: "identity.oidc.account_unavailable",
    detail: "Your account cannot be used; ask the administrator of the installation.",
};
const UNLINKED: Guard = Guard::conflict(
    "identity.oidc.unlinked_meanwhile",
    "The account of the provider was unlinked at this moment; sign in again.",
);

/// Somebody whom a provider has named.
pub(super) struct Newcomer<'a> {
    pub(super) provider: &'a OidcProvider,
    pub(super) flow: &'a Flow,
    pub(super) subject: Subject,
    pub(super) claims: Map<String, Value>,
    pub(super) tokens: Tokens,
    pub(super) metadata: &'a Metadata,
}

/// What a unit opens, once it is applied.
enum Opening {
    Challenge(SecretString),
    Session(Session, SecretString),
}

impl IdentityService {
    /// By the account that is linked, by the account with the same proven address, or by a new one.
    pub(super) async fn enter_with(
        &self,
        caller: &Caller,
        newcomer: &Newcomer<'_>,
        invitation: Option<&SecretString>,
    ) -> Result<SignInStep> {
        let issuer = &newcomer.provider.issuer;
        // The second time somebody else, or the same person in another window, was first.
        for _ in 0..2 {
            if let Some(identity) = store::external_identities::find(&self.db, issuer, &newcomer.subject.0).await? {
                return self.enter_linked(caller, newcomer, &identity).await;
            }
            let entered = self.enter_first(caller, newcomer, invitation).await?;
            if let Some(step) = entered {
                return Ok(step);
            }
        }
        Err(Error::unavailable(std::time::Duration::from_secs(1)))
    }

    async fn enter_linked(&self, caller: &Caller, newcomer: &Newcomer<'_>, identity: &ExternalIdentity) -> Result<SignInStep> {
        let user = store::users::find(&self.db, identity.user_id).await?;
        let user = user.ok_or(IdentityError::AccountUnavailable)?;
        let mut unit = Unit::new(caller);
        store::external_identities::note_use(&mut unit, identity, caller.now, UNLINKED);
        let opening = self.prepare_opening(caller, &mut unit, &user).await?;
        self.db.apply(unit).await?;
        self.opened(caller, newcomer, user, opening).await
    }

    /// `None` when account, address or provider's account came into being at the same moment.
    async fn enter_first(&self, caller: &Caller, newcomer: &Newcomer<'_>, invitation: Option<&SecretString>) -> Result<Option<SignInStep>> {
        let profile = self.profile(caller, newcomer).await?;
        // Nobody without a vouched-for address learns whether it has an account.
        let trusted = profile
            .email
            .as_ref()
            .filter(|_| profile.email_verified && newcomer.provider.trust_email);
        let Some(email) = trusted.cloned() else {
            audit(
                caller,
                "sign_in",
                None,
                &format!("{} vouches for no address", newcomer.flow.provider),
            );
            return Err(IdentityError::AddressNotVouchedFor.into());
        };
        let mut unit = Unit::new(caller);
        let known = store::users::find_by_email(&self.db, email.as_str()).await?;
        let user = match known {
            Some(user) if !user.is_active() => {
                audit(caller, "sign_in", Some(user.id), "account not active");
                return Err(IdentityError::AccountUnavailable.into());
            }
            // Whoever registered an address that they never proved must not be joined by its owner.
            Some(user) if !user.email_verified => {
                audit(caller, "sign_in", Some(user.id), "address of the account not verified, not linked");
                return Err(IdentityError::LinkFirst.into());
            }
            Some(user) => {
                store::users::require_proven_address(&mut unit, user.id, email.as_str(), CHANGED);
                Self::tell_of_link(&mut unit, caller, &user, newcomer);
                user
            }
            None => {
                let user = self.register_newcomer(caller, newcomer, profile, invitation).await?;
                Self::insert_user(&mut unit, &user);
                user
            }
        };
        let identity = ExternalIdentity {
            last_used_at: Some(caller.now),
            ..self.new_identity(caller, newcomer, user.id, Some(email.as_str().to_owned()))
        };
        store::external_identities::insert(&mut unit, &identity);
        let opening = self.prepare_opening(caller, &mut unit, &user).await?;
        match self.db.apply(unit).await {
            Err(error) if error.is_unique() => return Ok(None),
            other => drop(other?),
        }
        audit(caller, "external_identity_linked", Some(user.id), "ok");
        self.opened(caller, newcomer, user, opening).await.map(Some)
    }

    /// From the ID token, and where that does not say enough, from the UserInfo endpoint.
    async fn profile(&self, caller: &Caller, newcomer: &Newcomer<'_>) -> Result<Profile> {
        let told = Profile::read(&newcomer.claims);
        if !told.lacks_address() {
            return Ok(told);
        }
        let (flow, tokens) = (newcomer.flow, &newcomer.tokens);
        let asked = self.providers.user_info(flow, newcomer.metadata, tokens, &newcomer.subject).await?;
        let Some(asked) = asked else { return Ok(told) };
        let claims = asked.map_err(|reason| Self::distrust(caller, flow, reason))?;
        let more = Profile::read(&claims);
        Ok(Profile {
            name: more.name.or(told.name),
            locale: more.locale.or(told.locale),
            time_zone: more.time_zone.or(told.time_zone),
            ..more
        })
    }

    /// An account without a password, as far as registration is open to this person.
    async fn register_newcomer(
        &self,
        caller: &Caller,
        newcomer: &Newcomer<'_>,
        profile: Profile,
        invitation: Option<&SecretString>,
    ) -> Result<User> {
        let Some(email) = profile.email.filter(|_| newcomer.provider.register) else {
            return Err(IdentityError::RegistrationClosed.into());
        };
        self.check_registration_open(caller, invitation, &email).await?;
        let id = self.claim_invitation(caller, invitation, &email, None).await?;
        let local_part = email.as_str().split('@').next().unwrap_or_default().to_owned();
        let valid = Valid {
            name: profile.name.unwrap_or(local_part),
            time_zone: profile.time_zone.unwrap_or_else(|| DEFAULT_TIME_ZONE.to_owned()),
            locale: profile.locale.unwrap_or_else(|| DEFAULT_LOCALE.to_owned()),
            email,
        };
        audit(caller, "register", Some(id), "ok");
        Ok(User {
            id,
            email_verified: true,
            ..self.new_user(caller, valid, None)
        })
    }

    /// Adds what a sign-in does to `unit`: a session, or the question for the second factor, as after a right password.
    async fn prepare_opening(&self, caller: &Caller, unit: &mut Unit, user: &User) -> Result<Opening> {
        if !user.is_active() {
            audit(caller, "sign_in", Some(user.id), "account not active");
            return Err(IdentityError::AccountUnavailable.into());
        }
        if self.config.verification_required() && !user.email_verified {
            audit(caller, "sign_in", Some(user.id), "address not verified");
            return Err(IdentityError::EmailUnverified.into());
        }
        let factor = self.second_factor_of(user.id).await?;
        store::users::require_unchanged_credentials(unit, user, CHANGED);
        if factor.is_some() {
            return Ok(Opening::Challenge(self.challenge(unit, caller, user.id)));
        }
        store::second_factors::require_none(unit, user.id, SET_UP_MEANWHILE);
        let (session, refresh) = self.open_session(unit, caller, user.id);
        Ok(Opening::Session(session, refresh))
    }

    async fn opened(&self, caller: &Caller, newcomer: &Newcomer<'_>, user: User, opening: Opening) -> Result<SignInStep> {
        tracing::info!(target: "auth", provider = newcomer.flow.provider, user_id = %user.id, request_id = %caller.request_id, "named by a provider");
        match opening {
            Opening::Challenge(token) => {
                audit(caller, "sign_in", Some(user.id), "provider ok, second factor asked for");
                Ok(SignInStep::SecondFactor(token))
            }
            Opening::Session(session, refresh) => {
                audit(caller, "sign_in", Some(user.id), "ok");
                let signed_in = self.finish_sign_in(user, session, refresh, caller.now).await?;
                Ok(SignInStep::SignedIn(Box::new(signed_in)))
            }
        }
    }

    /// To the person who began the flow, while the session they began it in lives.
    pub(super) async fn link(
        &self,
        caller: &Caller,
        newcomer: &Newcomer<'_>,
        user_id: UserId,
        session_id: SessionId,
    ) -> Result<ExternalIdentity> {
        // Before the session is looked at: a reset in between ends the session and changes the credentials.
        let user = store::users::find(&self.db, user_id).await?;
        let user = user.ok_or(IdentityError::AccountUnavailable)?;
        let session = contracts::identity::CheckSession { user_id, session_id };
        let another = caller.actor.user_id().is_some_and(|id| id != user_id);
        if another || !self.session_state(&session).await?.active {
            audit(caller, "oidc_flow", Some(user_id), "the session that began the link is over");
            return Err(IdentityError::FlowInvalid.into());
        }
        let issuer = &newcomer.provider.issuer;
        if let Some(found) = store::external_identities::find(&self.db, issuer, &newcomer.subject.0).await? {
            let own = found.user_id == user_id;
            return if own {
                Ok(found)
            } else {
                Err(IdentityError::LinkedElsewhere.into())
            };
        }
        if store::external_identities::list(&self.db, user_id).await?.len() >= MAX_EXTERNAL_IDENTITIES {
            return Err(IdentityError::TooManyExternalIdentities.into());
        }
        let email = Profile::read(&newcomer.claims).email.map(|email| email.as_str().to_owned());
        let identity = self.new_identity(caller, newcomer, user_id, email);
        let mut unit = Unit::new(caller);
        store::users::require_unchanged_credentials(&mut unit, &user, CHANGED);
        store::external_identities::insert(&mut unit, &identity);
        Self::tell_of_link(&mut unit, caller, &user, newcomer);
        match self.db.apply(unit).await {
            Err(DbError::Unique { .. }) => return Err(IdentityError::LinkedElsewhere.into()),
            other => drop(other?),
        }
        audit(caller, "external_identity_linked", Some(user_id), "ok");
        Ok(identity)
    }

    fn new_identity(&self, caller: &Caller, newcomer: &Newcomer<'_>, user_id: UserId, email: Option<String>) -> ExternalIdentity {
        ExternalIdentity {
            id: ExternalIdentityId::generate(&*self.toolkit.clock),
            user_id,
            issuer: newcomer.provider.issuer.clone(),
            subject: newcomer.subject.0.clone(),
            email,
            created_at: caller.now,
            last_used_at: None,
        }
    }

    fn tell_of_link(unit: &mut Unit, caller: &Caller, user: &User, newcomer: &Newcomer<'_>) {
        let entry = Entry::of_account(user.id, Action::ExternalIdentityLinked);
        unit.record(entry.with("issuer", newcomer.provider.issuer.as_str()));
        let job = MailJob::ExternalIdentity {
            user_id: user.id,
            provider: newcomer.provider.name.clone(),
            linked: true,
        };
        Self::schedule_mail(unit, &job, caller.now);
    }
}
