//! Changing and resetting passwords.

use contracts::audit::{Action, Entry};
use kernel::{Error, Result};
use platform::Caller;
use platform::db::{Guard, Unit};
use secrecy::{ExposeSecret, SecretString};

use super::registration::just_after;
use super::verification::USED;
use super::{IdentityService, MailJob, audit, without_idempotency};
use crate::error::IdentityError;
use crate::model::user::{User, UserStatus};
use crate::store;
use crate::store::mail_tokens::Purpose;
use crate::store::sessions::Which;

#[derive(Debug)]
pub(crate) struct ChangePassword {
    pub(crate) current_password: SecretString,
    pub(crate) new_password: SecretString,
    /// Demanded of people with a second factor.
    pub(crate) code: Option<SecretString>,
    pub(crate) end_other_sessions: bool,
}

impl IdentityService {
    pub(crate) async fn change_password(&self, caller: &Caller, command: ChangePassword) -> Result<()> {
        let user = self.get_me(caller).await?;
        self.check_new_password(&user, &command.new_password, "/new_password")?;
        self.confirm_person(caller, &user, &command.current_password, command.code.as_ref())
            .await?;
        let changed = self.with_password(caller, &user, &command.new_password).await?;
        let mut unit = Unit::new(&without_idempotency(caller));
        store::users::update(&mut unit, &changed, user.version, Guard::VERSION);
        // A reset link asked for before must not undo the change.
        store::mail_tokens::delete_purpose(&mut unit, user.id, Purpose::ResetPassword);
        store::second_factors::delete_challenges(&mut unit, user.id);
        if command.end_other_sessions {
            let which = Which::AllBut(caller.session_id()?);
            self.end_sessions(&mut unit, user.id, which, "password_changed", caller.now).await?;
        }
        unit.record(Entry::of_account(user.id, Action::PasswordChanged).with("end_other_sessions", command.end_other_sessions));
        Self::schedule_mail(&mut unit, &MailJob::PasswordChanged { user_id: user.id }, caller.now);
        self.db.apply(unit).await?;
        self.announce_sessions(user.id);
        audit(caller, "password_changed", Some(user.id), "ok");
        Ok(())
    }

    /// Uses a reset link: proves the address, ends every session, brings back an account its owner had disabled. When the address had
    /// not been proven before, nothing made until now opens the account any more. The second factor stays: a mail must not undo it.
    pub(crate) async fn reset_password_by_mail(&self, caller: &Caller, token: &SecretString, password: &SecretString) -> Result<()> {
        let (token, user) = self.get_mail_token(caller, token, &[Purpose::ResetPassword]).await?;
        let allowed = matches!(user.status, UserStatus::Active | UserStatus::Disabled);
        if !allowed || user.email.as_deref() != Some(token.email.as_str()) {
            return Err(IdentityError::LinkInvalid.into());
        }
        self.check_new_password(&user, password, "/password")?;
        let changed = User {
            email_verified: true,
            status: UserStatus::Active,
            pending_email: None,
            ..self.with_password(caller, &user, password).await?
        };
        let mut unit = Unit::new(&without_idempotency(caller));
        store::mail_tokens::consume(&mut unit, &token.hash, USED);
        // Who asked for another address may be whom the reset is against.
        store::mail_tokens::delete_purpose(&mut unit, user.id, Purpose::ChangeEmail);
        store::second_factors::delete_challenges(&mut unit, user.id);
        store::users::update(&mut unit, &changed, user.version, Guard::VERSION);
        self.end_sessions(&mut unit, user.id, Which::All, "password_reset", caller.now)
            .await?;
        self.forget_failures(&mut unit, caller, &token.email);
        if !user.email_verified {
            // Anybody can register an address that is not theirs, and wait there for its owner.
            store::api_keys::delete_of_user(&mut unit, user.id);
            store::external_identities::delete_of_user(&mut unit, user.id);
            unit.emit(&contracts::identity::events::EmailVerified {
                user_id: user.id,
                email: token.email.clone(),
                reclaimed: true,
            });
        }
        unit.record(Entry::of_account(user.id, Action::PasswordReset).with("via", "mail"));
        Self::schedule_mail(&mut unit, &MailJob::PasswordChanged { user_id: user.id }, caller.now);
        self.db.apply(unit).await?;
        self.announce_sessions(user.id);
        audit(caller, "password_reset", Some(user.id), "ok");
        Ok(())
    }

    pub(super) fn check_new_password(&self, user: &User, password: &SecretString, pointer: &str) -> Result<()> {
        let mut errors = Vec::new();
        let words = [user.email.as_deref().unwrap_or_default(), user.name.as_str()];
        self.policy.check(password.expose_secret(), &words, pointer, &mut errors);
        if errors.is_empty() { Ok(()) } else { Err(Error::invalid(errors)) }
    }

    pub(super) async fn with_password(&self, caller: &Caller, user: &User, password: &SecretString) -> Result<User> {
        Ok(User {
            password_hash: Some(self.hasher.hash(password).await?),
            // Strictly newer, so that a sign-in with the old password that is under way fails its guard.
            password_changed_at: caller.now.max(just_after(user.password_changed_at)),
            updated_at: caller.now,
            version: user.version + 1,
            ..user.clone()
        })
    }
}
