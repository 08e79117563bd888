//! Proving addresses.

use contracts::audit::{Action, Entry};
use contracts::identity::events::EmailVerified;
use kernel::{Error, Result};
use platform::Caller;
use platform::db::{Guard, Reply, Unit};
use secrecy::{ExposeSecret, SecretString};

use super::{IdentityService, MailJob, audit, without_idempotency};
use crate::error::IdentityError;
use crate::model::email::EmailAddress;
use crate::model::token::MAX_TOKEN_CHARS;
use crate::model::user::{User, UserStatus};
use crate::store;
use crate::store::mail_tokens::{MailToken, Purpose};

/// The token was used by another call meanwhile.
pub(super) const USED: Guard = Guard {
    kind: kernel::ErrorKind::Gone,
    code: "identity.link.invalid",
    detail: "The link is not valid: it was used, has expired or was replaced by a newer one.",
};

impl IdentityService {
    /// The live token of one of these purposes with its account, or 410.
    pub(super) async fn get_mail_token(&self, caller: &Caller, token: &SecretString, purposes: &[Purpose]) -> Result<(MailToken, User)> {
        let invalid = || Error::from(IdentityError::LinkInvalid);
        if token.expose_secret().len() > MAX_TOKEN_CHARS {
            return Err(invalid());
        }
        let found = store::mail_tokens::find(&self.db, &self.keyring.fingerprint(token)).await?;
        let found = found
            .filter(|found| purposes.contains(&found.purpose) && found.expires_at > caller.now)
            .ok_or_else(invalid)?;
        let user = store::users::find(&self.db, found.user_id).await?;
        let user = user.filter(|user| user.status != UserStatus::Deleted).ok_or_else(invalid)?;
        Ok((found, user))
    }

    /// Uses the link of a verification mail: proves the address, or makes the new one the address.
    pub(crate) async fn verify_email<T, F>(&self, caller: &Caller, token: &SecretString, render: F) -> Result<Reply<T>>
    where
        T: serde::Serialize + Send + 'static,
        F: FnOnce(&User) -> T,
    {
        let purposes = [Purpose::VerifyEmail, Purpose::ChangeEmail];
        let (token, user) = self.get_mail_token(caller, token, &purposes).await?;
        let proven = match token.purpose {
            Purpose::ChangeEmail => user.pending_email.as_deref() == Some(token.email.as_str()),
            _ => user.email.as_deref() == Some(token.email.as_str()),
        };
        if !proven {
            return Err(IdentityError::LinkInvalid.into());
        }
        let old_email = user.email.clone();
        let verified = User {
            email: Some(token.email.clone()),
            email_verified: true,
            pending_email: if token.purpose == Purpose::ChangeEmail {
                None
            } else {
                user.pending_email.clone()
            },
            updated_at: caller.now,
            version: user.version + 1,
            ..user.clone()
        };
        let mut unit = Unit::new(caller);
        store::mail_tokens::consume(&mut unit, &token.hash, USED);
        store::users::update(&mut unit, &verified, user.version, Guard::VERSION);
        unit.emit(&EmailVerified {
            user_id: user.id,
            email: token.email.clone(),
            reclaimed: false,
        });
        unit.record(if token.purpose == Purpose::ChangeEmail {
            Entry::of_account(user.id, Action::EmailChanged).change("email", old_email.as_ref(), Some(&token.email))
        } else {
            Entry::of_account(user.id, Action::EmailVerified)
        });
        if token.purpose == Purpose::ChangeEmail {
            // Links that were mailed to the old address must not outlive it.
            store::mail_tokens::delete_purpose(&mut unit, user.id, Purpose::ResetPassword);
            store::mail_tokens::delete_purpose(&mut unit, user.id, Purpose::VerifyEmail);
            if let Some(old_email) = old_email {
                Self::schedule_mail(&mut unit, &MailJob::EmailChanged { old_email }, caller.now);
            }
        }
        let body = render(&verified);
        let reply = match self.db.apply_reply(unit, move |_| Ok(Reply::plain(body))).await {
            // The new address was taken since the mail was sent. Who holds the link owns the address, so may be told.
            Err(error) if error.is_unique() => return Err(super::registration::email_taken()),
            other => other?,
        };
        audit(caller, "verify_email", Some(user.id), "ok");
        Ok(reply)
    }

    /// Asks for another verification mail. What happens is decided later, where nobody can time it.
    pub(crate) async fn resend_verification(&self, caller: &Caller, email: &str) -> Result<()> {
        let email = parse_email(email)?;
        self.schedule_for_address(caller, &MailJob::resend(&email), "resend_verification")
            .await
    }

    /// Asks for a mail to reset the password.
    pub(crate) async fn forgot_password(&self, caller: &Caller, email: &str) -> Result<()> {
        let email = parse_email(email)?;
        self.schedule_for_address(caller, &MailJob::reset(&email), "forgot_password").await
    }

    async fn schedule_for_address(&self, caller: &Caller, job: &MailJob, event: &'static str) -> Result<()> {
        let mut unit = Unit::new(&without_idempotency(caller));
        Self::schedule_mail(&mut unit, job, caller.now);
        self.db.apply(unit).await?;
        audit(caller, event, None, "ok");
        Ok(())
    }
}

fn parse_email(text: &str) -> Result<EmailAddress> {
    let mut errors = Vec::new();
    EmailAddress::parse_field(text, "/email", &mut errors).ok_or_else(|| Error::invalid(errors))
}
