//! Signing in with address and password, the first step of two for people with a second factor.

use contracts::audit::{Action, Entry, Log};
use kernel::ids::UserId;
use kernel::{Error, ErrorKind, Result};
use platform::Caller;
use platform::db::{DbError, Guard, Unit};
use secrecy::SecretString;

use super::second_factor::SET_UP_MEANWHILE;
use super::throttling::Attempt;
use super::{IdentityService, SignInStep, audit, without_idempotency};
use crate::error::IdentityError;
use crate::model::email::EmailAddress;
use crate::model::user::User;
use crate::store;

/// The password or the account's state changed while it was being checked.
const CHANGED: Guard = Guard {
    kind: ErrorKind::Unauthenticated,
    code: "identity.credentials.invalid",
    detail: "The e-mail address or the password is wrong.",
};

impl IdentityService {
    /// One answer, in one time, for an unknown address, a wrong password and an account that may not sign in.
    pub(crate) async fn sign_in(&self, caller: &Caller, email: &str, password: &SecretString) -> Result<SignInStep> {
        let caller = without_idempotency(caller);
        let attempt = self.admit(&caller, email).await?;
        let user = match EmailAddress::parse(email) {
            Some(email) => store::users::find_by_email(&self.db, email.as_str()).await?,
            None => None,
        };
        let stored = user.as_ref().and_then(|user| user.password_hash.as_deref());
        let verified = self.hasher.verify(stored, password).await?;
        let known = user.as_ref().map(|user| user.id);
        let Some(user) = user.filter(|user| verified.matches && user.is_active()) else {
            audit(&caller, "sign_in", None, "wrong address or password, or account not active");
            self.record_failed_sign_in(&caller, known).await?;
            return Err(IdentityError::InvalidCredentials.into());
        };
        if self.config.verification_required() && !user.email_verified {
            return self.refuse_unverified(&caller, user.id, attempt).await;
        }
        let better_hash = if verified.outdated {
            Some(self.hasher.hash(password).await?)
        } else {
            None
        };

        let factor = self.second_factor_of(user.id).await?;
        let mut unit = Unit::new(&caller);
        store::users::require_unchanged_credentials(&mut unit, &user, CHANGED);
        attempt.succeed(&mut unit);
        if let Some(hash) = &better_hash {
            store::users::replace_hash(&mut unit, &user, hash);
        }
        if factor.is_some() {
            let token = self.challenge(&mut unit, &caller, user.id);
            self.apply_sign_in(unit).await?;
            audit(&caller, "sign_in", Some(user.id), "password ok, second factor asked for");
            return Ok(SignInStep::SecondFactor(token));
        }
        store::second_factors::require_none(&mut unit, user.id, SET_UP_MEANWHILE);
        let (session, refresh) = self.open_session(&mut unit, &caller, user.id);
        self.apply_sign_in(unit).await?;
        audit(&caller, "sign_in", Some(user.id), "ok");
        let signed_in = self.finish_sign_in(user, session, refresh, caller.now).await?;
        Ok(SignInStep::SignedIn(Box::new(signed_in)))
    }

    async fn apply_sign_in(&self, unit: Unit) -> Result<()> {
        match self.db.apply(unit).await {
            Err(DbError::Guard(guard)) if guard == CHANGED => Err(IdentityError::InvalidCredentials.into()),
            other => {
                other?;
                Ok(())
            }
        }
    }

    /// In one way for known and unknown addresses, so that the time tells nothing. What was typed as an address is not kept:
    /// it may be a password in the wrong field.
    async fn record_failed_sign_in(&self, caller: &Caller, known: Option<UserId>) -> Result<()> {
        let mut unit = Unit::new(caller);
        unit.record(match known {
            Some(user_id) => Entry::of_account(user_id, Action::SignInFailed),
            None => Entry::new(Log::Installation, Action::SignInFailed, "account"),
        });
        self.db.apply(unit).await?;
        Ok(())
    }

    /// The password was right, so saying why tells a stranger nothing.
    async fn refuse_unverified<T>(&self, caller: &Caller, user_id: UserId, attempt: Attempt) -> Result<T> {
        let mut unit = Unit::new(caller);
        attempt.succeed(&mut unit);
        unit.record(Entry::of_account(user_id, Action::SignInFailed).with("reason", "email_unverified"));
        self.db.apply(unit).await?;
        audit(caller, "sign_in", Some(user_id), "address not verified");
        Err(IdentityError::EmailUnverified.into())
    }

    /// Asks for the password again before something that cannot be taken back. Throttled like a sign-in.
    pub(crate) async fn confirm_password(&self, caller: &Caller, user: &User, password: &SecretString, pointer: &str) -> Result<()> {
        let attempt = self.admit(caller, user.email.as_deref().unwrap_or_default()).await?;
        let verified = self.hasher.verify(user.password_hash.as_deref(), password).await?;
        if !verified.matches {
            audit(caller, "confirm_password", Some(user.id), "wrong password");
            let mut unit = Unit::new(&without_idempotency(caller));
            unit.record(Entry::of_account(user.id, Action::PasswordConfirmationFailed));
            self.db.apply(unit).await?;
            return Err(Error::invalid_field(pointer, "wrong_password", "is not your current password"));
        }
        let mut unit = Unit::new(&without_idempotency(caller));
        attempt.succeed(&mut unit);
        self.db.apply(unit).await?;
        Ok(())
    }
}
