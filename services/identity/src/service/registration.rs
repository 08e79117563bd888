//! Making an account.

use contracts::audit::{Action, Entry};
use contracts::identity::events::UserRegistered;
use contracts::workspaces::{CheckInvitation, ClaimInvitation};
use kernel::ids::{EntityId, UserId};
use kernel::{Error, FieldError, Result, Timestamp};
use platform::Caller;
use platform::db::{Guard, Unit};
use secrecy::{ExposeSecret, SecretString};

use super::audit::of_installation;
use super::{IdentityService, MailJob, SignedIn, audit, without_idempotency};
use crate::config::Registration;
use crate::error::IdentityError;
use crate::model::email::EmailAddress;
use crate::model::profile::{DEFAULT_LOCALE, DEFAULT_TIME_ZONE, parse_locale, parse_name, parse_time_zone};
use crate::model::user::{User, UserStatus};
use crate::store;

#[derive(Debug, Clone)]
pub(crate) struct Register {
    pub(crate) email: String,
    pub(crate) password: SecretString,
    pub(crate) name: String,
    pub(crate) time_zone: Option<String>,
    pub(crate) locale: Option<String>,
    pub(crate) invitation_token: Option<SecretString>,
}

#[derive(Debug)]
pub(crate) enum Registered {
    SignedIn(Box<SignedIn>),
    /// The same whether the address was free or not.
    MailSent,
}

/// A registration whose every field was found good.
#[derive(Debug)]
pub(super) struct Valid {
    pub(super) email: EmailAddress,
    pub(super) name: String,
    pub(super) time_zone: String,
    pub(super) locale: String,
}

/// Statements of [`IdentityService::insert_user`]: a row and three events.
const NEW_ACCOUNT: usize = 4;

impl IdentityService {
    pub(crate) async fn register(&self, caller: &Caller, command: Register) -> Result<Registered> {
        let caller = without_idempotency(caller);
        let valid = self.validate_registration(&command)?;
        let invitation = command.invitation_token.as_ref();
        self.check_registration_open(&caller, invitation, &valid.email).await?;
        // Hashed in every case, so that a known address takes as long as an unknown one.
        let hash = self.hasher.hash(&command.password).await?;
        let known = store::users::find_by_email(&self.db, valid.email.as_str()).await?;
        if self.config.verification_required() {
            // Also for an address that is known: whether a link is spent must not tell.
            let id = self.claim_invitation(&caller, invitation, &valid.email, known.as_ref()).await?;
            self.register_quietly(&caller, valid, hash, known, id).await?;
            return Ok(Registered::MailSent);
        }
        if known.is_some() {
            audit(&caller, "register", None, "address is taken");
            return Err(email_taken());
        }
        let user = User {
            id: self.claim_invitation(&caller, invitation, &valid.email, None).await?,
            ..self.new_user(&caller, valid, Some(hash))
        };
        let mut unit = Unit::new(&caller);
        Self::insert_user(&mut unit, &user);
        let (session, refresh) = self.open_session(&mut unit, &caller, user.id);
        Self::schedule_mail(&mut unit, &MailJob::verify(user.id), caller.now);
        match self.db.apply(unit).await {
            // The address, or the id that an invitation gave to the same address a moment ago.
            Err(error) if error.is_unique() => return Err(email_taken()),
            other => drop(other?),
        }
        audit(&caller, "register", Some(user.id), "ok");
        let signed_in = self.finish_sign_in(user, session, refresh, caller.now).await?;
        Ok(Registered::SignedIn(Box::new(signed_in)))
    }

    pub(super) fn validate_registration(&self, command: &Register) -> Result<Valid> {
        let mut errors: Vec<FieldError> = Vec::new();
        let email = EmailAddress::parse_field(&command.email, "/email", &mut errors);
        let name = parse_name(&command.name, "/name", &mut errors);
        let time_zone = match &command.time_zone {
            Some(text) => parse_time_zone(text, "/time_zone", &mut errors),
            None => Some(DEFAULT_TIME_ZONE.to_owned()),
        };
        let locale = match &command.locale {
            Some(text) => parse_locale(text, "/locale", &mut errors),
            None => Some(DEFAULT_LOCALE.to_owned()),
        };
        let words = [email.as_ref().map_or("", EmailAddress::as_str), command.name.as_str()];
        self.policy
            .check(command.password.expose_secret(), &words, "/password", &mut errors);
        match (email, name, time_zone, locale) {
            (Some(email), Some(name), Some(time_zone), Some(locale)) if errors.is_empty() => Ok(Valid {
                email,
                name,
                time_zone,
                locale,
            }),
            _ => Err(Error::invalid(errors)),
        }
    }

    pub(super) async fn check_registration_open(
        &self,
        caller: &Caller,
        invitation: Option<&SecretString>,
        email: &EmailAddress,
    ) -> Result<()> {
        match self.config.registration {
            Registration::Open => Ok(()),
            Registration::Closed => Err(IdentityError::RegistrationClosed.into()),
            Registration::Invite => {
                let Some(token) = invitation else {
                    return Err(IdentityError::InvitationRequired.into());
                };
                let request = CheckInvitation {
                    email: email.as_str().to_owned(),
                    token: token.expose_secret().to_owned(),
                };
                if self.workspaces.check_invitation(&caller.call(), request).await?.valid {
                    Ok(())
                } else {
                    audit(caller, "register", None, "invitation is not valid");
                    Err(IdentityError::InvitationRequired.into())
                }
            }
        }
    }

    /// The id of the account to be made, after the invitation it needs was spent on it. That comes before the account: a
    /// failure in between costs the same address nothing, and another one a few minutes' wait.
    pub(super) async fn claim_invitation(
        &self,
        caller: &Caller,
        invitation: Option<&SecretString>,
        email: &EmailAddress,
        known: Option<&User>,
    ) -> Result<UserId> {
        let user_id = known.map_or_else(|| UserId::generate(&*self.toolkit.clock), |user| user.id);
        let (Registration::Invite, Some(token)) = (self.config.registration, invitation) else {
            return Ok(user_id);
        };
        let request = ClaimInvitation {
            email: email.as_str().to_owned(),
            token: token.expose_secret().to_owned(),
            user_id,
        };
        let claimed = self.workspaces.claim_invitation(&caller.call(), request).await?;
        claimed.ok_or_else(|| {
            audit(caller, "register", None, "invitation is spent");
            IdentityError::InvitationRequired.into()
        })
    }

    pub(super) fn new_user(&self, caller: &Caller, valid: Valid, password_hash: Option<String>) -> User {
        User {
            id: UserId::generate(&*self.toolkit.clock),
            email: Some(valid.email.as_str().to_owned()),
            email_verified: false,
            pending_email: None,
            name: valid.name,
            time_zone: valid.time_zone,
            locale: valid.locale,
            password_hash,
            password_changed_at: caller.now,
            status: UserStatus::Active,
            instance_admin: false,
            created_at: caller.now,
            updated_at: caller.now,
            version: 1,
        }
    }

    pub(super) fn insert_user(unit: &mut Unit, user: &User) {
        store::users::insert(unit, user);
        unit.emit(&UserRegistered {
            user_id: user.id,
            email: user.email.clone().unwrap_or_default(),
            email_verified: user.email_verified,
            name: user.name.clone(),
        });
        unit.record(Entry::of_account(user.id, Action::AccountRegistered));
        unit.record(of_installation(user.id, Action::AccountRegistered).with("administrator", Some(true).filter(|_| user.instance_admin)));
    }

    /// Says nothing to the caller; the mail tells whoever owns the address.
    ///
    /// Two registrations of an address that nobody has proven yet: one of them may be a stranger's, and the owner of the
    /// address cannot tell whose password a link would seal. So neither password survives; the mail lets its reader choose
    /// one, which proves the address as well.
    async fn register_quietly(&self, caller: &Caller, valid: Valid, hash: String, known: Option<User>, id: UserId) -> Result<()> {
        let mut unit = Unit::new(caller);
        let user_id = match known {
            Some(user) if user.email_verified || !user.is_active() => {
                (0..NEW_ACCOUNT).for_each(|_| store::users::touch_nobody(&mut unit));
                Self::schedule_mail(&mut unit, &MailJob::already_registered(user.id), caller.now);
                user.id
            }
            Some(user) => {
                let contested = User {
                    password_hash: None,
                    // Strictly newer, so that sign-ins with the older password fail their guard.
                    password_changed_at: caller.now.max(just_after(user.password_changed_at)),
                    updated_at: caller.now,
                    version: user.version + 1,
                    ..user.clone()
                };
                store::users::update(&mut unit, &contested, user.version, Guard::VERSION);
                (1..NEW_ACCOUNT).for_each(|_| store::users::touch_nobody(&mut unit));
                Self::schedule_mail(&mut unit, &MailJob::reset(&valid.email), caller.now);
                user.id
            }
            None => {
                let user = User {
                    id,
                    ..self.new_user(caller, valid, Some(hash))
                };
                Self::insert_user(&mut unit, &user);
                Self::schedule_mail(&mut unit, &MailJob::verify(user.id), caller.now);
                user.id
            }
        };
        match self.db.apply(unit).await {
            // Somebody registered the same address at the same moment; that mail will do.
            Err(error) if error.is_unique() => {}
            other => drop(other?),
        }
        audit(caller, "register", Some(user_id), "ok");
        Ok(())
    }
}

pub(super) fn just_after(moment: Timestamp) -> Timestamp {
    Timestamp::from_micros(moment.as_micros() + 1)
}

pub(super) fn email_taken() -> Error {
    Error {
        fields: vec![FieldError::new(
            "/email",
            "identity.email.taken",
            "An account with this e-mail address exists already.",
        )],
        ..IdentityError::EmailTaken.into()
    }
}
