//! Setting up, using and giving up the second factor (TOTP, RFC 6238, with recovery codes).

use std::time::Duration;

use contracts::audit::{Action, Entry};
use data_encoding::BASE32_NOPAD;
use kernel::ids::UserId;
use kernel::{Error, ErrorKind, Result, Timestamp};
use platform::Caller;
use platform::db::{DbError, Guard, Unit};
use secrecy::{ExposeSecret, SecretString};

use super::audit::record_administration;
use super::{IdentityService, MailJob, SignedIn, audit, without_idempotency};
use crate::error::IdentityError;
use crate::model::second_factor::{Code, SecondFactor, matching_step, new_recovery_codes, new_seed, provisioning_uri};
use crate::model::token::{CHALLENGE_PREFIX, MAX_TOKEN_CHARS, new_token};
use crate::model::user::User;
use crate::store;
use crate::store::second_factors::Challenge;
use crate::store::sessions::Which;

/// So long may the second step of a sign-in take.
pub(crate) const CHALLENGE_LIFE: Duration = Duration::from_secs(300);
/// Then the password is asked for again.
const MAX_GUESSES: i64 = 5;

const WRONG_CODE: Guard = Guard {
    kind: ErrorKind::Unauthenticated,
    code: "identity.second_factor.code_wrong",
    detail: "The code is wrong, or it was used already.",
};
const CHALLENGE_OVER: Guard = Guard {
    kind: ErrorKind::Unauthenticated,
    code: "identity.second_factor.challenge_invalid",
    detail: "The sign-in took too long, was finished, or saw too many wrong codes; start again.",
};
/// A second factor was set up while the password was being checked.
pub(super) const SET_UP_MEANWHILE: Guard = Guard::conflict(
    "identity.second_factor.set_up_meanwhile",
    "A second factor was set up at this moment; sign in again.",
);
const REPLACED: Guard = Guard::conflict(
    "identity.second_factor.changed",
    "The second factor changed at the same moment; start again.",
);

/// How far a sign-in came.
#[derive(Debug)]
pub(crate) enum SignInStep {
    SignedIn(Box<SignedIn>),
    /// The password was right; the token and a code finish it.
    SecondFactor(SecretString),
}

#[cfg(test)]
impl SignInStep {
    pub(crate) fn session(self) -> SignedIn {
        match self {
            Self::SignedIn(signed_in) => *signed_in,
            Self::SecondFactor(_) => panic!("a second factor is asked for"),
        }
    }
}

/// What the person sees of their second factor.
#[derive(Debug)]
pub(crate) struct SecondFactorState {
    pub(crate) since: Option<Timestamp>,
    pub(crate) recovery_codes_left: i64,
}

/// Shown once.
pub(crate) struct Enrolment {
    pub(crate) secret: SecretString,
    pub(crate) uri: SecretString,
}

impl IdentityService {
    pub(crate) async fn second_factor_state(&self, caller: &Caller) -> Result<SecondFactorState> {
        let user_id = caller.user_id()?;
        let since = self.second_factor_of(user_id).await?.and_then(|factor| factor.confirmed_at);
        let recovery_codes_left = match since {
            Some(_) => store::second_factors::count_recovery_codes(&self.db, user_id).await?,
            None => 0,
        };
        Ok(SecondFactorState {
            since,
            recovery_codes_left,
        })
    }

    /// The confirmed one.
    pub(super) async fn second_factor_of(&self, user_id: UserId) -> Result<Option<SecondFactor>> {
        let factor = store::second_factors::find(&self.db, user_id).await?;
        Ok(factor.filter(|factor| factor.confirmed_at.is_some()))
    }

    /// Makes a seed. Nothing is asked for before a code of it was shown.
    pub(crate) async fn enrol(&self, caller: &Caller, password: &SecretString) -> Result<Enrolment> {
        caller.session_id()?;
        let user = self.get_me(caller).await?;
        self.confirm_password(caller, &user, password, "/current_password").await?;
        if self.second_factor_of(user.id).await?.is_some() {
            return Err(IdentityError::SecondFactorOn.into());
        }
        let seed = new_seed();
        let factor = SecondFactor {
            user_id: user.id,
            sealed_seed: self.seal.seal(&seed, &SecondFactor::context(user.id))?,
            last_step: 0,
            created_at: caller.now,
            confirmed_at: None,
            version: 1,
        };
        let mut unit = Unit::new(&caller.keeping_no_reply());
        store::second_factors::replace_unconfirmed(&mut unit, &factor);
        match self.db.apply(unit).await {
            Err(error) if error.is_unique() => return Err(IdentityError::SecondFactorOn.into()),
            other => other?,
        };
        let host = self.public_url.split("://").last().unwrap_or_default();
        let uri = provisioning_uri(&seed, &format!("Guildhall {host}"), user.email.as_deref().unwrap_or_default())
            .ok_or_else(|| Error::internal("no provisioning URI could be made"))?;
        audit(caller, "second_factor_begun", Some(user.id), "ok");
        Ok(Enrolment {
            secret: BASE32_NOPAD.encode(&seed).into(),
            uri: uri.into(),
        })
    }

    /// The first code turns the second factor on, ends all other sessions and yields the recovery codes.
    pub(crate) async fn confirm_second_factor(&self, caller: &Caller, code: &SecretString) -> Result<Vec<SecretString>> {
        let session_id = caller.session_id()?;
        let user = self.get_me(caller).await?;
        let factor = store::second_factors::find(&self.db, user.id).await?;
        let factor = factor
            .filter(|factor| factor.confirmed_at.is_none())
            .ok_or(IdentityError::SecondFactorNotBegun)?;
        let attempt = self.admit(caller, &guesses_of(user.id)).await?;
        let step = match Code::parse(code) {
            Some(Code::OneTime(code)) => matching_step(&self.seed(&factor)?, &code, caller.now),
            _ => None,
        };
        let Some(step) = step else {
            self.note_wrong_code(caller, user.id).await?;
            return Err(wrong_field());
        };
        let codes = new_recovery_codes();
        let mut unit = Unit::new(&caller.keeping_no_reply());
        store::second_factors::confirm(&mut unit, &factor, step, caller.now, REPLACED);
        store::second_factors::replace_recovery_codes(&mut unit, user.id, &self.hashes(&codes), caller.now);
        self.end_sessions(&mut unit, user.id, Which::AllBut(session_id), "second_factor_on", caller.now)
            .await?;
        attempt.succeed(&mut unit);
        unit.record(Entry::of_account(user.id, Action::SecondFactorEnabled));
        Self::schedule_mail(
            &mut unit,
            &MailJob::SecondFactor {
                user_id: user.id,
                on: true,
            },
            caller.now,
        );
        self.db.apply(unit).await?;
        self.announce_sessions(user.id);
        audit(caller, "second_factor_on", Some(user.id), "ok");
        Ok(codes)
    }

    pub(crate) async fn disable_second_factor(&self, caller: &Caller, password: &SecretString, code: &SecretString) -> Result<()> {
        let (user, mut unit) = self.begin_with_both(caller, password, code).await?;
        store::second_factors::delete_of_user(&mut unit, user.id);
        unit.record(Entry::of_account(user.id, Action::SecondFactorDisabled));
        Self::schedule_mail(
            &mut unit,
            &MailJob::SecondFactor {
                user_id: user.id,
                on: false,
            },
            caller.now,
        );
        self.apply_code(caller, user.id, unit).await?;
        audit(caller, "second_factor_off", Some(user.id), "ok");
        Ok(())
    }

    /// The former ones are good no longer.
    pub(crate) async fn renew_recovery_codes(
        &self,
        caller: &Caller,
        password: &SecretString,
        code: &SecretString,
    ) -> Result<Vec<SecretString>> {
        let (user, mut unit) = self.begin_with_both(caller, password, code).await?;
        let codes = new_recovery_codes();
        store::second_factors::replace_recovery_codes(&mut unit, user.id, &self.hashes(&codes), caller.now);
        unit.record(Entry::of_account(user.id, Action::RecoveryCodesRenewed));
        self.apply_code(caller, user.id, unit).await?;
        audit(caller, "recovery_codes_renewed", Some(user.id), "ok");
        Ok(codes)
    }

    /// A unit that commits only with a good password and a good code.
    async fn begin_with_both(&self, caller: &Caller, password: &SecretString, code: &SecretString) -> Result<(User, Unit)> {
        caller.session_id()?;
        let user = self.get_me(caller).await?;
        self.confirm_password(caller, &user, password, "/current_password").await?;
        let factor = self.second_factor_of(user.id).await?.ok_or(IdentityError::SecondFactorOff)?;
        let mut unit = Unit::new(&caller.keeping_no_reply());
        self.demand_code(caller, &mut unit, &factor, code).await?;
        Ok((user, unit))
    }

    /// Applies a unit of [`Self::demand_code`]. A recovery code shows only here that it is wrong. 422 instead of 401: the caller is
    /// signed in, it is the field that is wrong.
    async fn apply_code(&self, caller: &Caller, user_id: UserId, unit: Unit) -> Result<()> {
        match self.db.apply(unit).await {
            Err(DbError::Guard(guard)) if guard == WRONG_CODE => {
                self.note_wrong_code(caller, user_id).await?;
                Err(wrong_field())
            }
            other => {
                other?;
                Ok(())
            }
        }
    }

    /// Asks for the password again, and people with a second factor for a code of it: before whatever changes the account or
    /// opens it to somebody else.
    pub(super) async fn confirm_person(
        &self,
        caller: &Caller,
        user: &User,
        password: &SecretString,
        code: Option<&SecretString>,
    ) -> Result<()> {
        self.confirm_password(caller, user, password, "/current_password").await?;
        self.confirm_code(caller, user, code).await
    }

    /// For what needs the second factor of a signed-in person who has one. The code is used up in a unit of its own.
    pub(super) async fn confirm_code(&self, caller: &Caller, user: &User, code: Option<&SecretString>) -> Result<()> {
        let Some(factor) = self.second_factor_of(user.id).await? else {
            return Ok(());
        };
        let code = code.ok_or_else(|| Error::invalid_field("/code", "required", "is needed, for you have a second factor"))?;
        let mut unit = Unit::new(&without_idempotency(caller));
        self.demand_code(caller, &mut unit, &factor, code).await?;
        self.apply_code(caller, user.id, unit).await
    }

    /// Adds to `unit` that the code is good and is used up with it. Throttled like a password; what can be seen to be wrong
    /// at once is refused here.
    async fn demand_code(&self, caller: &Caller, unit: &mut Unit, factor: &SecondFactor, code: &SecretString) -> Result<()> {
        let attempt = self.admit(caller, &guesses_of(factor.user_id)).await?;
        if self.require_code(unit, factor, code, caller.now)?.is_none() {
            self.note_wrong_code(caller, factor.user_id).await?;
            return Err(wrong_field());
        }
        attempt.succeed(unit);
        Ok(())
    }

    async fn note_wrong_code(&self, caller: &Caller, user_id: UserId) -> Result<()> {
        audit(caller, "second_factor", Some(user_id), "wrong code");
        let mut unit = Unit::new(&without_idempotency(caller));
        unit.record(Entry::of_account(user_id, Action::SecondFactorFailed));
        self.db.apply(unit).await?;
        Ok(())
    }

    /// `None` for a code that is certainly wrong; otherwise the unit commits only when it is good and unused.
    fn require_code(&self, unit: &mut Unit, factor: &SecondFactor, code: &SecretString, now: Timestamp) -> Result<Option<()>> {
        Ok(match Code::parse(code) {
            None => None,
            Some(Code::Recovery(code)) => {
                store::second_factors::use_recovery_code(unit, factor.user_id, &self.keyring.fingerprint(&code), WRONG_CODE);
                Some(())
            }
            Some(Code::OneTime(code)) => matching_step(&self.seed(factor)?, &code, now)
                .filter(|step| *step > factor.last_step)
                .map(|step| store::second_factors::use_step(unit, factor.user_id, step, WRONG_CODE)),
        })
    }

    fn seed(&self, factor: &SecondFactor) -> Result<Vec<u8>> {
        self.seal.open(&factor.sealed_seed, &SecondFactor::context(factor.user_id))
    }

    fn hashes(&self, codes: &[SecretString]) -> Vec<crate::model::token::Hash> {
        codes
            .iter()
            .filter_map(Code::parse)
            .filter_map(|code| match code {
                Code::Recovery(folded) => Some(self.keyring.fingerprint(&folded)),
                Code::OneTime(_) => None,
            })
            .collect()
    }

    /// Adds to `unit` a sign-in that waits for its second step. Its token opens nothing else.
    pub(super) fn challenge(&self, unit: &mut Unit, caller: &Caller, user_id: UserId) -> SecretString {
        let token = new_token(CHALLENGE_PREFIX);
        store::second_factors::insert_challenge(
            unit,
            &Challenge {
                token_hash: self.keyring.fingerprint(&token),
                user_id,
                failures: 0,
                created_at: caller.now,
                expires_at: caller.now.plus(CHALLENGE_LIFE),
            },
        );
        token
    }

    /// The second step of a sign-in.
    pub(crate) async fn finish_challenge(&self, caller: &Caller, token: &SecretString, code: &SecretString) -> Result<SignedIn> {
        let caller = without_idempotency(caller);
        let over = || Error::from(IdentityError::ChallengeInvalid);
        if token.expose_secret().len() > MAX_TOKEN_CHARS {
            return Err(over());
        }
        let hash = self.keyring.fingerprint(token);
        let challenge = store::second_factors::find_challenge(&self.db, &hash).await?;
        let challenge = challenge.filter(|challenge| caller.now < challenge.expires_at).ok_or_else(over)?;
        let user = store::users::find(&self.db, challenge.user_id).await?;
        let user = user.filter(User::is_active).ok_or_else(over)?;
        let factor = self.second_factor_of(user.id).await?.ok_or_else(over)?;
        let attempt = self.admit(&caller, &guesses_of(user.id)).await?;
        let mut counted = Unit::new(&caller);
        store::second_factors::count_guess(&mut counted, &hash, MAX_GUESSES, CHALLENGE_OVER);
        self.db.apply(counted).await?;

        let wrong = || Error::from(IdentityError::CodeWrong);
        let mut unit = Unit::new(&caller);
        store::users::require_unchanged_credentials(&mut unit, &user, CHALLENGE_OVER);
        store::second_factors::consume_challenge(&mut unit, &hash, CHALLENGE_OVER);
        if self.require_code(&mut unit, &factor, code, caller.now)?.is_none() {
            self.note_wrong_code(&caller, user.id).await?;
            return Err(wrong());
        }
        let (session, refresh) = self.open_session(&mut unit, &caller, user.id);
        attempt.succeed(&mut unit);
        match self.db.apply(unit).await {
            Err(DbError::Guard(guard)) if guard == WRONG_CODE => {
                self.note_wrong_code(&caller, user.id).await?;
                return Err(wrong());
            }
            other => other?,
        };
        audit(&caller, "sign_in", Some(user.id), "ok, with a second factor");
        self.finish_sign_in(user, session, refresh, caller.now).await
    }

    /// For the command line: somebody lost phone and recovery codes. Sessions end, for it may be an attacker who asks.
    pub async fn reset_second_factor(&self, email: &str) -> Result<UserId> {
        let caller = self.system("cli.user.reset_mfa");
        let user = self.get_by_email(email).await?;
        let mut unit = Unit::new(&caller);
        store::second_factors::delete_of_user(&mut unit, user.id);
        self.end_sessions(&mut unit, user.id, Which::All, "second_factor_reset", caller.now)
            .await?;
        record_administration(&mut unit, user.id, Action::SecondFactorDisabled);
        Self::schedule_mail(
            &mut unit,
            &MailJob::SecondFactor {
                user_id: user.id,
                on: false,
            },
            caller.now,
        );
        self.db.apply(unit).await?;
        self.announce_sessions(user.id);
        audit(&caller, "second_factor_reset_by_operator", Some(user.id), "ok");
        Ok(user.id)
    }
}

/// The name under which wrong codes are counted; no address looks like it.
fn guesses_of(user_id: UserId) -> String {
    format!("second factor of {user_id}")
}

fn wrong_field() -> Error {
    Error::invalid_field("/code", "wrong_code", "is wrong, or was used already")
}
