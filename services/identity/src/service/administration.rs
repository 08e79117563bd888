//! What administrators of the installation do, over HTTP and on the command line.

use contracts::audit::Action;
use kernel::cursor::Page;
use kernel::ids::UserId;
use kernel::{Error, Result, Timestamp};
use platform::Caller;
use platform::db::{Guard, Unit};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::accounts::LAST_ADMIN;
use super::audit::record_administration;
use super::registration::{Register, email_taken};
use super::{IdentityService, audit, without_idempotency};
use crate::error::IdentityError;
use crate::model::email::EmailAddress;
use crate::model::user::{User, UserStatus};
use crate::store;
use crate::store::sessions::Which;
use crate::store::users::UserFilter;

#[derive(Debug, Clone)]
pub(crate) struct ListUsers {
    /// Part of address or name.
    pub(crate) text: Option<String>,
    pub(crate) status: Option<UserStatus>,
    pub(crate) limit: u32,
    pub(crate) cursor: Option<String>,
}

/// `guildhall user create`.
#[derive(Debug, Clone)]
pub struct CreateUser {
    pub email: String,
    pub name: String,
    /// Made up and given back when absent.
    pub password: Option<SecretString>,
    pub instance_admin: bool,
}

/// The account that `guildhall user create` or `reset-password` made or changed.
#[derive(Debug, Clone)]
pub struct CreatedUser {
    pub user_id: UserId,
    /// Lower-cased.
    pub email: String,
    /// Shown once; `None` when the operator chose the password.
    pub generated_password: Option<SecretString>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Position {
    created_at: Timestamp,
    id: UserId,
}

impl IdentityService {
    pub(super) fn authorise_admin(caller: &Caller) -> Result<()> {
        caller.user_id()?;
        if caller.instance_admin {
            Ok(())
        } else {
            Err(IdentityError::AdminOnly.into())
        }
    }

    /// Accounts, newest first; deleted ones only when asked for.
    pub(crate) async fn list_users(&self, caller: &Caller, query: ListUsers) -> Result<Page<User>> {
        Self::authorise_admin(caller)?;
        let text = query.text.map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty());
        let binding = format!(
            "users|{}|{}|-created_at|{}",
            text.as_deref().unwrap_or_default(),
            query.status.map_or("", UserStatus::as_str),
            caller.user_id()?
        );
        let after: Option<Position> = self.toolkit.cursors.start(query.cursor.as_deref(), &binding)?;
        let filter = UserFilter {
            text,
            status: query.status,
            limit: u64::from(query.limit) + 1,
            after: after.map(|position| (position.created_at, position.id)),
        };
        let users = store::users::list(&self.db, &filter).await?;
        self.toolkit.cursors.page(users, query.limit, &binding, |user| Position {
            created_at: user.created_at,
            id: user.id,
        })
    }

    pub(crate) async fn lock(&self, caller: &Caller, id: UserId) -> Result<()> {
        let user = self.get_living(caller, id).await?;
        if user.status == UserStatus::Locked {
            return Ok(());
        }
        self.deactivate(caller, &user, UserStatus::Locked, None).await
    }

    /// Brings back a locked or disabled account. Its sessions stay ended.
    pub(crate) async fn unlock(&self, caller: &Caller, id: UserId) -> Result<()> {
        let user = self.get_living(caller, id).await?;
        if user.is_active() {
            return Ok(());
        }
        self.activate(caller, &user).await
    }

    async fn activate(&self, caller: &Caller, user: &User) -> Result<()> {
        let active = User {
            status: UserStatus::Active,
            updated_at: caller.now,
            version: user.version + 1,
            ..user.clone()
        };
        let mut unit = Unit::new(&without_idempotency(caller));
        store::users::update(&mut unit, &active, user.version, Guard::VERSION);
        if let Some(email) = &user.email {
            self.forget_failures(&mut unit, caller, email);
        }
        record_administration(&mut unit, user.id, Action::AccountActivated);
        self.db.apply(unit).await?;
        self.announce_sessions(user.id);
        audit(caller, "unlocked", Some(user.id), "ok");
        Ok(())
    }

    /// Signs a person out everywhere.
    pub(crate) async fn end_sessions_of(&self, caller: &Caller, id: UserId) -> Result<()> {
        let user = self.get_living(caller, id).await?;
        self.end_and_announce(caller, user.id, Which::All, "ended_by_admin").await
    }

    pub(crate) async fn set_instance_admin(&self, caller: &Caller, id: UserId, admin: bool) -> Result<()> {
        let user = self.get_living(caller, id).await?;
        if user.instance_admin == admin {
            return Ok(());
        }
        let changed = User {
            instance_admin: admin,
            updated_at: caller.now,
            version: user.version + 1,
            ..user.clone()
        };
        let mut unit = Unit::new(&without_idempotency(caller));
        if !admin && user.is_active() {
            store::users::require_other_admin(&mut unit, user.id, LAST_ADMIN);
        }
        store::users::update(&mut unit, &changed, user.version, Guard::VERSION);
        let action = if admin {
            Action::AdministratorGranted
        } else {
            Action::AdministratorRevoked
        };
        record_administration(&mut unit, user.id, action);
        self.db.apply(unit).await?;
        // What the person may do is cached together with their session.
        self.announce_sessions(user.id);
        audit(caller, if admin { "admin_granted" } else { "admin_revoked" }, Some(user.id), "ok");
        Ok(())
    }

    async fn get_living(&self, caller: &Caller, id: UserId) -> Result<User> {
        let user = self.get_user(caller, id).await?;
        if user.status == UserStatus::Deleted {
            return Err(IdentityError::UserDeleted.into());
        }
        Ok(user)
    }

    /// For the command line: an account with a proven address, whatever the registration setting says.
    pub async fn create_user(&self, command: CreateUser) -> Result<CreatedUser> {
        let caller = self.system("cli.user.create");
        let (password, generated) = chosen_or_generated(command.password);
        let valid = self.validate_registration(&Register {
            email: command.email,
            password: password.clone(),
            name: command.name,
            time_zone: None,
            locale: None,
            invitation_token: None,
        })?;
        if store::users::find_by_email(&self.db, valid.email.as_str()).await?.is_some() {
            return Err(email_taken());
        }
        let hash = self.hasher.hash(&password).await?;
        let user = User {
            email_verified: true,
            instance_admin: command.instance_admin,
            ..self.new_user(&caller, valid, Some(hash))
        };
        let mut unit = Unit::new(&caller);
        Self::insert_user(&mut unit, &user);
        self.db.apply(unit).await?;
        audit(&caller, "user_created", Some(user.id), "ok");
        Ok(CreatedUser {
            user_id: user.id,
            email: user.email.unwrap_or_default(),
            generated_password: generated,
        })
    }

    /// For the command line: sets a password and ends every session.
    pub async fn reset_password(&self, email: &str, password: Option<SecretString>) -> Result<CreatedUser> {
        let caller = self.system("cli.user.reset_password");
        let user = self.get_by_email(email).await?;
        let (password, generated) = chosen_or_generated(password);
        self.check_new_password(&user, &password, "/password")?;
        let changed = self.with_password(&caller, &user, &password).await?;
        let mut unit = Unit::new(&caller);
        store::users::update(&mut unit, &changed, user.version, Guard::VERSION);
        store::mail_tokens::delete_purpose(&mut unit, user.id, store::mail_tokens::Purpose::ResetPassword);
        store::second_factors::delete_challenges(&mut unit, user.id);
        self.end_sessions(&mut unit, user.id, Which::All, "password_reset", caller.now)
            .await?;
        self.forget_failures(&mut unit, &caller, user.email.as_deref().unwrap_or_default());
        record_administration(&mut unit, user.id, Action::PasswordReset);
        self.db.apply(unit).await?;
        self.announce_sessions(user.id);
        audit(&caller, "password_reset_by_operator", Some(user.id), "ok");
        Ok(CreatedUser {
            user_id: user.id,
            email: user.email.unwrap_or_default(),
            generated_password: generated,
        })
    }

    /// For the command line.
    pub async fn lock_user(&self, email: &str) -> Result<UserId> {
        let caller = self.system("cli.user.lock");
        let user = self.get_by_email(email).await?;
        if user.status != UserStatus::Locked {
            self.deactivate(&caller, &user, UserStatus::Locked, None).await?;
        }
        Ok(user.id)
    }

    /// For the command line.
    pub async fn unlock_user(&self, email: &str) -> Result<UserId> {
        let caller = self.system("cli.user.unlock");
        let user = self.get_by_email(email).await?;
        if !user.is_active() {
            self.activate(&caller, &user).await?;
        }
        Ok(user.id)
    }

    pub(super) async fn get_by_email(&self, email: &str) -> Result<User> {
        let address = EmailAddress::parse(email)
            .ok_or_else(|| Error::invalid_field("/email", "invalid_email", "must be an e-mail address such as ada@example.org"))?;
        let user = store::users::find_by_email(&self.db, address.as_str()).await?;
        Ok(user.ok_or(IdentityError::UserNotFound)?)
    }
}

/// A made-up password has 130 bits.
fn chosen_or_generated(chosen: Option<SecretString>) -> (SecretString, Option<SecretString>) {
    match chosen {
        Some(password) => (password, None),
        None => {
            let text = data_encoding::BASE32_NOPAD.encode(&crate::model::token::random());
            let made = SecretString::from(text.get(..26).unwrap_or_default().to_lowercase());
            (made.clone(), Some(made))
        }
    }
}
