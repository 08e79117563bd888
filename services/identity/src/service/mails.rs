//! Mails of identity. Requests only schedule a job; whether there is an account, and what its owner is told, is decided
//! when the job runs, so that no answer and no timing gives an address away. A token exists in clear only in the mail
//! itself: the job carries a nonce, the database a hash.

use std::time::Duration;

use data_encoding::HEXLOWER;
use kernel::ids::{ApiKeyId, UserId};
use kernel::{Error, Result, Timestamp};
use platform::db::Unit;
use platform::due::{Due, DueItem};
use platform::mail::Mail;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::IdentityService;
use crate::model::api_key::ApiKey;
use crate::model::email::EmailAddress;
use crate::model::token::{Hash, random, sha256};
use crate::model::user::{User, UserStatus};
use crate::store;
use crate::store::mail_tokens::{MailToken, Purpose};

/// Nobody is mailed the same kind of link more often, however often strangers ask for it.
const QUIET_TIME: Duration = Duration::from_secs(60);

/// A mail to be decided on and sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "mail", rename_all = "snake_case")]
pub(crate) enum MailJob {
    VerifyEmail {
        user_id: UserId,
        nonce: String,
    },
    ResendVerification {
        email: String,
        nonce: String,
    },
    AlreadyRegistered {
        user_id: UserId,
    },
    ResetPassword {
        email: String,
        nonce: String,
    },
    ChangeEmail {
        user_id: UserId,
        email: String,
        nonce: String,
    },
    EmailChanged {
        old_email: String,
    },
    PasswordChanged {
        user_id: UserId,
    },
    Deactivated {
        email: String,
        status: UserStatus,
    },
    ApiKeyMade {
        user_id: UserId,
        name: String,
        expires_at: Timestamp,
    },
    ApiKeyExpires {
        key_id: ApiKeyId,
    },
    SecondFactor {
        user_id: UserId,
        on: bool,
    },
    ExternalIdentity {
        user_id: UserId,
        /// As people know it.
        provider: String,
        linked: bool,
    },
}

fn nonce() -> String {
    HEXLOWER.encode(&random())
}

impl MailJob {
    /// Of the due work.
    pub(crate) const KIND: &'static str = "identity.mail";

    pub(crate) fn verify(user_id: UserId) -> Self {
        Self::VerifyEmail { user_id, nonce: nonce() }
    }
    pub(crate) fn resend(email: &EmailAddress) -> Self {
        Self::ResendVerification {
            email: email.as_str().to_owned(),
            nonce: nonce(),
        }
    }
    pub(crate) const fn already_registered(user_id: UserId) -> Self {
        Self::AlreadyRegistered { user_id }
    }
    pub(crate) fn reset(email: &EmailAddress) -> Self {
        Self::ResetPassword {
            email: email.as_str().to_owned(),
            nonce: nonce(),
        }
    }
    pub(crate) fn change_email(user_id: UserId, email: &EmailAddress) -> Self {
        Self::ChangeEmail {
            user_id,
            email: email.as_str().to_owned(),
            nonce: nonce(),
        }
    }

    pub(crate) fn api_key_made(key: &ApiKey) -> Self {
        Self::ApiKeyMade {
            user_id: key.user_id,
            name: key.name.clone(),
            expires_at: key.expires_at,
        }
    }

    /// Waiting jobs with the same key are replaced, so that a flood of requests leaves one.
    fn key(&self) -> Option<String> {
        let digest = |text: &str| HEXLOWER.encode(&sha256(text.as_bytes())[..16]);
        match self {
            Self::VerifyEmail { user_id, .. } => Some(format!("verify:{user_id}")),
            Self::ResendVerification { email, .. } => Some(format!("resend:{}", digest(email))),
            Self::AlreadyRegistered { user_id } => Some(format!("known:{user_id}")),
            Self::ResetPassword { email, .. } => Some(format!("reset:{}", digest(email))),
            Self::ChangeEmail { user_id, .. } => Some(format!("change:{user_id}")),
            Self::ApiKeyExpires { key_id } => Some(format!("key:{key_id}")),
            Self::EmailChanged { .. }
            | Self::PasswordChanged { .. }
            | Self::Deactivated { .. }
            | Self::ApiKeyMade { .. }
            | Self::SecondFactor { .. }
            | Self::ExternalIdentity { .. } => None,
        }
    }
}

impl IdentityService {
    pub(crate) fn schedule_mail(unit: &mut Unit, job: &MailJob, now: Timestamp) {
        // A plain enum of strings and ids always serialises.
        let payload = serde_json::to_value(job).unwrap_or_default();
        unit.schedule(Due {
            kind: MailJob::KIND,
            key: job.key(),
            payload,
            run_at: now,
        });
    }

    /// Runs a job; at least once, so everything in here may happen twice.
    pub(crate) async fn run_mail_job(&self, item: &DueItem) -> Result<()> {
        let job: MailJob = serde_json::from_value(item.payload.clone()).map_err(Error::internal)?;
        let Some(mail) = self.compose(&job, item).await? else {
            return Ok(());
        };
        self.mailer.send(&mail).await
    }

    async fn compose(&self, job: &MailJob, item: &DueItem) -> Result<Option<Mail>> {
        match job {
            MailJob::VerifyEmail { user_id, nonce } => {
                let user = store::users::find(&self.db, *user_id).await?;
                self.compose_verification(user, nonce, item, false).await
            }
            MailJob::ResendVerification { email, nonce } => {
                let user = store::users::find_by_email(&self.db, email).await?;
                self.compose_verification(user, nonce, item, true).await
            }
            MailJob::AlreadyRegistered { user_id } => {
                let user = store::users::find(&self.db, *user_id)
                    .await?
                    .filter(|user| user.status != UserStatus::Deleted);
                Ok(user.and_then(|user| user.email).map(|email| {
                    let text = format!(
                        "Somebody, perhaps you, tried to register with this address. You have an account already.\n\n\
                         Sign in as usual, or choose a new password here:\n{}/account/forgot-password\n\n\
                         If it was not you, there is nothing to do.",
                        self.public_url
                    );
                    mail(item, email, "You have an account already", text)
                }))
            }
            MailJob::ResetPassword { email, nonce } => self.compose_reset(email, nonce, item).await,
            MailJob::ChangeEmail { user_id, email, nonce } => self.compose_change(*user_id, email, nonce, item).await,
            MailJob::EmailChanged { old_email } => Ok(Some(mail(
                item,
                old_email.clone(),
                "Your e-mail address was changed",
                "The address of your account was changed; this one is no longer used.\n\n\
                 If it was not you, tell the administrator of the installation at once."
                    .to_owned(),
            ))),
            MailJob::PasswordChanged { user_id } => {
                let user = store::users::find(&self.db, *user_id).await?;
                Ok(user.and_then(|user| user.email).map(|email| {
                    let text = format!(
                        "The password of your account was changed.\n\nIf it was not you, choose a new one at once:\n\
                         {}/account/forgot-password",
                        self.public_url
                    );
                    mail(item, email, "Your password was changed", text)
                }))
            }
            MailJob::SecondFactor { user_id, on } => {
                let user = store::users::find(&self.db, *user_id).await?;
                Ok(user.and_then(|user| user.email).map(|email| {
                    let subject = if *on {
                        "A second factor was turned on"
                    } else {
                        "Your second factor was turned off"
                    };
                    let text = format!(
                        "{subject} for your account.\n\nIf it was not you, choose a new password at once and tell the \
                         administrator of the installation:\n{}/account/forgot-password",
                        self.public_url
                    );
                    mail(item, email, subject, text)
                }))
            }
            MailJob::ExternalIdentity { user_id, provider, linked } => {
                let user = store::users::find(&self.db, *user_id).await?;
                Ok(user.and_then(|user| user.email).map(|email| {
                    let (subject, text) = if *linked {
                        (
                            "A way to sign in was added",
                            format!("You can now sign in to your account with {provider}."),
                        )
                    } else {
                        ("A way to sign in was removed", format!("{provider} no longer opens your account."))
                    };
                    let text = format!(
                        "{text}\n\nIf it was not you, look at the linked accounts in your profile, choose a new password at once and tell \
                         the administrator of the installation:\n{}/account/forgot-password",
                        self.public_url
                    );
                    mail(item, email, subject, text)
                }))
            }
            MailJob::ApiKeyMade { user_id, name, expires_at } => {
                let user = store::users::find(&self.db, *user_id).await?;
                Ok(user.and_then(|user| user.email).map(|email| {
                    let text = format!(
                        "An API key named \"{name}\" was made for your account. It is good until {expires_at}.\n\n\
                         If it was not you, revoke it, choose a new password and tell the administrator of the installation."
                    );
                    mail(item, email, "An API key was made", text)
                }))
            }
            MailJob::ApiKeyExpires { key_id } => {
                let Some((key, user_id)) = self.expiring_key(*key_id).await? else {
                    return Ok(None);
                };
                let user = store::users::find(&self.db, user_id).await?;
                Ok(user.and_then(|user| user.email).map(|email| {
                    let text = format!(
                        "Your API key named \"{}\" expires at {}. Programs that use it will be refused from then on.\n\n\
                         Make a new key, put it in the place of the old one, and revoke the old one.",
                        key.name, key.expires_at
                    );
                    mail(item, email, "An API key expires soon", text)
                }))
            }
            MailJob::Deactivated { email, status } => Ok(Some(self.compose_farewell(email, *status, item))),
        }
    }

    async fn compose_verification(&self, user: Option<User>, nonce: &str, item: &DueItem, on_request: bool) -> Result<Option<Mail>> {
        let Some(user) = user.filter(|user| user.is_active() && !user.email_verified) else {
            return Ok(None);
        };
        let Some(email) = user.email.clone() else { return Ok(None) };
        let lifetime = Duration::from_secs(self.config.verify_link_hours * 3_600);
        let Some(token) = self
            .make_token(&user, Purpose::VerifyEmail, &email, nonce, lifetime, on_request, item)
            .await?
        else {
            return Ok(None);
        };
        let text = format!(
            "Hello {},\n\nopen this page to prove that this address is yours:\n{}/account/verify-email?token={}\n\n\
             The link works once, for {} hours. If you did not register, there is nothing to do.",
            user.name,
            self.public_url,
            token.expose_secret(),
            self.config.verify_link_hours
        );
        Ok(Some(mail(item, email, "Prove your e-mail address", text)))
    }

    async fn compose_reset(&self, email: &str, nonce: &str, item: &DueItem) -> Result<Option<Mail>> {
        let user = store::users::find_by_email(&self.db, email).await?;
        let Some(user) = user.filter(|user| matches!(user.status, UserStatus::Active | UserStatus::Disabled)) else {
            return Ok(None);
        };
        let lifetime = Duration::from_secs(self.config.reset_link_minutes * 60);
        let Some(token) = self
            .make_token(&user, Purpose::ResetPassword, email, nonce, lifetime, true, item)
            .await?
        else {
            return Ok(None);
        };
        let text = format!(
            "Hello {},\n\nopen this page to choose a new password:\n{}/account/reset-password?token={}\n\n\
             The link works once, for {} minutes. If you did not ask for it, there is nothing to do.",
            user.name,
            self.public_url,
            token.expose_secret(),
            self.config.reset_link_minutes
        );
        Ok(Some(mail(item, email.to_owned(), "Choose a new password", text)))
    }

    async fn compose_change(&self, user_id: UserId, email: &str, nonce: &str, item: &DueItem) -> Result<Option<Mail>> {
        let user = store::users::find(&self.db, user_id).await?;
        let Some(user) = user.filter(|user| user.is_active() && user.pending_email.as_deref() == Some(email)) else {
            return Ok(None);
        };
        if let Some(other) = store::users::find_by_email(&self.db, email).await?
            && other.id != user.id
        {
            // The one who asked is told nothing; the owner of the address is.
            let text = "Somebody wants to use this address for another account, but it belongs to yours.\n\n\
                        If it was you: delete this account or change its address first. Otherwise there is nothing to do.";
            return Ok(Some(mail(item, email.to_owned(), "Your address is in use", text.to_owned())));
        }
        let lifetime = Duration::from_secs(self.config.verify_link_hours * 3_600);
        let Some(token) = self
            .make_token(&user, Purpose::ChangeEmail, email, nonce, lifetime, false, item)
            .await?
        else {
            return Ok(None);
        };
        let text = format!(
            "Hello {},\n\nopen this page to use this address for your account from now on:\n{}/account/verify-email?token={}\n\n\
             The link works once, for {} hours. If you did not ask for it, there is nothing to do.",
            user.name,
            self.public_url,
            token.expose_secret(),
            self.config.verify_link_hours
        );
        Ok(Some(mail(item, email.to_owned(), "Prove your new e-mail address", text)))
    }

    fn compose_farewell(&self, email: &str, status: UserStatus, item: &DueItem) -> Mail {
        let (subject, text) = match status {
            UserStatus::Deleted => (
                "Your account was deleted",
                "Your account and its personal data were deleted.".to_owned(),
            ),
            UserStatus::Locked => (
                "Your account was locked",
                "An administrator locked your account. Only an administrator can unlock it.".to_owned(),
            ),
            UserStatus::Disabled | UserStatus::Active => (
                "Your account was disabled",
                format!(
                    "You disabled your account. To come back, choose a new password:\n{}/account/forgot-password",
                    self.public_url
                ),
            ),
        };
        mail(item, email.to_owned(), subject, text)
    }

    /// Stores the hash of the job's token. `None`: a link of this kind was mailed a moment ago, and strangers may have
    /// asked for this one.
    #[expect(clippy::too_many_arguments, reason = "the parts of one row, each named at the call")]
    async fn make_token(
        &self,
        user: &User,
        purpose: Purpose,
        email: &str,
        nonce: &str,
        lifetime: Duration,
        on_request: bool,
        item: &DueItem,
    ) -> Result<Option<SecretString>> {
        let now = self.now();
        let token = self.keyring.mail_token(purpose.prefix(), nonce.as_bytes());
        let hash: Hash = self.keyring.fingerprint(&token);
        let latest = store::mail_tokens::find_latest(&self.db, user.id, purpose).await?;
        // The same hash means that this very job runs again after a failed send.
        let too_soon = latest.is_some_and(|latest| latest.hash != hash && now.since(latest.created_at) < QUIET_TIME);
        if on_request && too_soon {
            return Ok(None);
        }
        let mut unit = Unit::new(&self.system(&item.request_id));
        store::mail_tokens::replace(
            &mut unit,
            &MailToken {
                hash,
                user_id: user.id,
                purpose,
                email: email.to_owned(),
                created_at: now,
                expires_at: now.plus(lifetime),
            },
        );
        self.db.apply(unit).await?;
        Ok(Some(token))
    }
}

fn mail(item: &DueItem, to: String, subject: &str, text: String) -> Mail {
    Mail {
        to,
        subject: subject.to_owned(),
        text,
        html: None,
        message_id: item.id.to_string(),
    }
}
